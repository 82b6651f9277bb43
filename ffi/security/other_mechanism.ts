/**
 * What to say where a peer comes with a mechanism that does not serve on this end, which is no fault of what is
 * installed: NTLM is left out on purpose, and anything else is a matter of what both ends were told to use.
 *
 * @module
 */

const NTLM_SIGNATURE = [..."NTLMSSP\0"].map((letter) => letter.charCodeAt(0));

/** Whether a token is one of NTLM's, or carries one inside of SPNEGO. */
export function holdsNtlm(token: Uint8Array): boolean {
  const [first] = NTLM_SIGNATURE;
  for (let at = token.indexOf(first); at >= 0; at = token.indexOf(first, at + 1)) {
    if (NTLM_SIGNATURE.every((byte, index) => token[at + index] === byte)) return true;
  }
  return false;
}

/** What to do about a peer whose token is of a mechanism that does not serve here. */
export function otherMechanismAdvice(token: Uint8Array): string {
  return holdsNtlm(token)
    ? "The peer offers NTLM, which was left out here on purpose: it cannot prove who the server is. Have the client " +
      "use Kerberos: it needs a ticket, and a target that is registered"
    : "The peer speaks a mechanism that does not serve here. Use the same provider on both ends";
}
