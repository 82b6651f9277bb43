/**
 * Advice for a peer that uses a mechanism which this end does not accept. The installation is not at fault: NTLM is
 * excluded on purpose, and for other mechanisms the two ends use different providers.
 *
 * @module
 */

const NTLM_SIGNATURE = [..."NTLMSSP\0"].map((letter) => letter.charCodeAt(0));
/** The object identifiers of Kerberos in DER: that of RFC 4121, and the wrong one that Windows 2000 introduced. */
const KERBEROS_OIDS = [0x86, 0x82].map((arc) => {
  return [0x06, 0x09, 0x2a, 0x86, 0x48, arc, 0xf7, 0x12, 0x01, 0x02, 0x02];
});

/** Whether a token is an NTLM token, or contains one inside SPNEGO. */
export function holdsNtlm(token: Uint8Array): boolean {
  return holds(token, NTLM_SIGNATURE);
}

/** Whether a token is a Kerberos token, or contains or offers Kerberos inside SPNEGO. */
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

/** How gss-ntlmssp finds the user. */
export const NTLM_USER =
  "Leave credentials out and set NTLM_USER_FILE to the file with the user, or use ntlm()";

/** What to do about a peer that offers Kerberos where it is excluded. */
export const KERBEROS_DENIED =
  "The peer offers Kerberos, which is excluded here on purpose, because a policy denies it: " +
  "deny it in the policies of both ends, or of neither";

/** The form of the tokens of this end or of its peer: Kerberos tokens, or SPNEGO around them. */
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

/** The wrapping of a first token; `null` where it cannot be recognised. */
function wrappingOf(token: Uint8Array): Wrapping | null {
  if (token[0] === 0x6e) return "kerberos";
  if (token[0] !== 0x60) return null;
  const oid = token.subarray(token[1] < 0x80 ? 2 : 2 + (token[1] & 0x7f));
  return (["kerberos", "spnego"] as const).find((one) => OIDS[one].every((byte, at) => oid[at] === byte)) ??
    null;
}

/**
 * Returns what to do about a peer whose token belongs to a mechanism that is not accepted here.
 *
 * @param own the wrapping that this end uses.
 */
export function otherMechanismAdvice(token: Uint8Array, own: Wrapping): string {
  if (holdsNtlm(token)) {
    return "The peer offers NTLM, which is excluded here on purpose: it cannot authenticate the server. Use Kerberos on " +
      "the client: it needs a ticket, and a target that is registered";
  }
  const peer = wrappingOf(token);
  const what = peer === null || peer === own
    ? "The peer uses a mechanism that is not accepted here"
    : `The peer uses ${SAYS[peer]}; this end uses ${SAYS[own]}`;
  return `${what}. Use the same provider on both ends`;
}
