/**
 * What a socket's settings let its peer be and do, read by the library itself: a codec may be a stranger's.
 *
 * @module
 */

import { mayLetImpersonate } from "./known_policies.ts";
import { SOCKET_SECURITY_SETTINGS_IPSEC, SOCKET_SETTINGS_IPSEC } from "../raw/fwpuclnt.ts";

const NO_POLICY_KEY = "00000000-0000-0000-0000-000000000000";

/** What they let it. */
export interface PeerTerms {
  /** It may be another computer than the one that was named. */
  readonly optionalPeerName: boolean;
  /** It may be able to act as the user of this end, for all that is known of the policies. */
  readonly impersonation: boolean;
}

/** Reads a `SOCKET_SECURITY_SETTINGS` or `SOCKET_SECURITY_SETTINGS_IPSEC`; the first names no policy and no flag. */
export function readPeerTerms(settings: Uint8Array): PeerTerms {
  const { offsets, size } = SOCKET_SECURITY_SETTINGS_IPSEC;
  if (settings.length < offsets.AllStrings) return { optionalPeerName: false, impersonation: false };
  // Without a string the structure may end with its last field, before its padding.
  const whole = new Uint8Array(Math.max(settings.length, size));
  whole.set(settings);
  const { IpsecFlags, AuthipMMPolicyKey, AuthipQMPolicyKey } = SOCKET_SECURITY_SETTINGS_IPSEC.read(
    new DataView(whole.buffer),
  );
  const keys = [AuthipMMPolicyKey, AuthipQMPolicyKey].filter((key) => key !== NO_POLICY_KEY);
  return {
    optionalPeerName: (IpsecFlags & SOCKET_SETTINGS_IPSEC.OPTIONAL_PEER_NAME_VERIFICATION) !== 0,
    impersonation: keys.some(mayLetImpersonate),
  };
}
