/**
 * What to say where a peer comes with a mechanism that does not serve on this end, which is no fault of what is
 * installed: NTLM is left out on purpose, and anything else is a matter of which provider each end was given.
 *
 * @module
 */

const NTLM_SIGNATURE = [..."NTLMSSP\0"].map((letter) => letter.charCodeAt(0));
/** The object identifiers of Kerberos in DER: RFC 4121's, and the one that Windows 2000 wrote by mistake. */
const KERBEROS_OIDS = [0x86, 0x82].map((arc) => {
  return [0x06, 0x09, 0x2a, 0x86, 0x48, arc, 0xf7, 0x12, 0x01, 0x02, 0x02];
});

/** Whether a token is one of NTLM's, or carries one inside of SPNEGO. */
export function holdsNtlm(token: Uint8Array): boolean {
  return holds(token, NTLM_SIGNATURE);
}

/** Whether a token is one of Kerberos', or carries or offers it inside of SPNEGO. */
export function holdsKerberos(token: Uint8Array): boolean {
  return KERBEROS_OIDS.some((oid) => holds(token, oid));
}

function holds(token: Uint8Array, part: readonly number[]): boolean {
  const [first] = part;
  for (let at = token.indexOf(first); at >= 0; at = token.indexOf(first, at + 1)) {
    if (part.every((byte, index) => token[at + index] === byte)) return true;
  }
  return false;
}

/** How gss-ntlmssp finds who to be. */
export const NTLM_USER =
  "Leave credentials out and have NTLM_USER_FILE name the file with the user, or use ntlm()";

/** What to do about a peer that offers Kerberos where it was left out. */
export const KERBEROS_DENIED =
  "The peer offers Kerberos, which was left out here on purpose, since a policy denies it: " +
  "have the policy of both ends deny it, or of neither";

/** What to do about a peer that offers Kerberos where a server of Negotiate found no key for it. */
export const KERBEROS_WITHOUT_KEY =
  "The peer offers Kerberos, and this end had no key for it when its credentials were acquired: give " +
  "credentials: { keytab }, or name the key table in KRB5_KTNAME";

/** What this end or its peer speaks: Kerberos' own tokens, or SPNEGO around them. */
export type Wrapping = "kerberos" | "spnego";

const SAYS: { readonly [wrapping in Wrapping]: string } = {
  kerberos: "Kerberos without SPNEGO, as kerberos() does",
  spnego: "SPNEGO, as negotiate() does",
};
/** The OIDs behind the head of an RFC 2743 token. */
const OIDS: { readonly [wrapping in Wrapping]: readonly number[] } = {
  kerberos: [0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02],
  spnego: [0x06, 0x06, 0x2b, 0x06, 0x01, 0x05, 0x05, 0x02],
};

/** What a first token is of, where that can be seen. */
function wrappingOf(token: Uint8Array): Wrapping | null {
  if (token[0] === 0x6e) return "kerberos";
  if (token[0] !== 0x60) return null;
  const oid = token.subarray(token[1] < 0x80 ? 2 : 2 + (token[1] & 0x7f));
  return (["kerberos", "spnego"] as const).find((one) => OIDS[one].every((byte, at) => oid[at] === byte)) ??
    null;
}

/**
 * What to do about a peer whose token is of a mechanism that does not serve here.
 *
 * @param own what this end speaks.
 */
export function otherMechanismAdvice(token: Uint8Array, own: Wrapping): string {
  if (holdsNtlm(token)) {
    return "The peer offers NTLM, which was left out here on purpose: it cannot prove who the server is. Have the " +
      "client use Kerberos: it needs a ticket, and a target that is registered";
  }
  const peer = wrappingOf(token);
  const what = peer === null || peer === own
    ? "The peer speaks a mechanism that does not serve here"
    : `The peer speaks ${SAYS[peer]}; this end speaks ${SAYS[own]}`;
  return `${what}. Use the same provider on both ends`;
}
