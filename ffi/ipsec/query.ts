/**
 * What WSAQuerySocketSecurity answered: what is secured, and handles that must be closed. No codec reads it.
 *
 * @module
 */

import {
  SOCKET_INFO_CONNECTION,
  SOCKET_SECURITY_QUERY_INFO,
  SOCKET_SECURITY_QUERY_INFO_IPSEC2,
} from "../raw/fwpuclnt.ts";

/** An answer. */
export interface SecurityAnswer {
  /** The packets are protected against change. */
  readonly secured: boolean;
  /** The packets are encrypted, and protected against change: without that, encryption is none. */
  readonly encrypted: boolean;
  /** The server may act as the client's user: by the flag's name, which the header declares and no page describes. */
  readonly impersonated: boolean;
  /** The peer's user token, or 0. */
  readonly userToken: bigint;
  /** The peer's computer token, or 0. */
  readonly machineToken: bigint;
  /** The main-mode and quick-mode associations, where the `IPSEC2` form was asked for; 0: not told. */
  readonly mainModeSa: bigint;
  /** See {@linkcode SecurityAnswer.mainModeSa}. */
  readonly quickModeSa: bigint;
  /** Why a negotiation failed, as a Win32 code; 0: it did not. */
  readonly negotiationError: number;
  /** What finds the associations in the Windows Filtering Platform. */
  readonly lookupContext: string;
}

const NO_GUID = "00000000-0000-0000-0000-000000000000";

/** Reads an answer of either form, which is at least as long as the shorter. */
export function readAnswer(bytes: Uint8Array): SecurityAnswer {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const basic = SOCKET_SECURITY_QUERY_INFO.read(view);
  const more = bytes.length >= SOCKET_SECURITY_QUERY_INFO_IPSEC2.size
    ? SOCKET_SECURITY_QUERY_INFO_IPSEC2.read(view)
    : null;
  const secured = (basic.Flags & SOCKET_INFO_CONNECTION.SECURED) !== 0;
  return {
    secured,
    encrypted: secured && (basic.Flags & SOCKET_INFO_CONNECTION.ENCRYPTED) !== 0,
    impersonated: (basic.Flags & SOCKET_INFO_CONNECTION.IMPERSONATED) !== 0,
    userToken: basic.PeerApplicationAccessTokenHandle,
    machineToken: basic.PeerMachineAccessTokenHandle,
    mainModeSa: more?.MmSaId ?? 0n,
    quickModeSa: more?.QmSaId ?? 0n,
    negotiationError: more?.NegotiationWinerr ?? 0,
    lookupContext: more?.SaLookupContext ?? NO_GUID,
  };
}
