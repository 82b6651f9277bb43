/**
 * Reads the answer of WSAQuerySocketSecurity: how the socket is protected, and handles that must be closed. A codec
 * never reads it.
 *
 * @module
 */

import {
  SOCKET_INFO_CONNECTION,
  SOCKET_SECURITY_QUERY_INFO,
  SOCKET_SECURITY_QUERY_INFO_IPSEC2,
} from "../raw/fwpuclnt.ts";

/** The answer of a query. */
export interface SecurityAnswer {
  /** The packets are protected against change. */
  readonly secured: boolean;
  /** The packets are encrypted and protected against change; false where only the first is true. */
  readonly encrypted: boolean;
  /** The server may act as the client's user. Concluded from the flag's name in the header; no page documents it. */
  readonly impersonated: boolean;
  /** The peer's user token, or 0. */
  readonly userToken: bigint;
  /** The peer's computer token, or 0. */
  readonly machineToken: bigint;
  /** The main-mode and quick-mode associations, where the `IPSEC2` form was queried; 0: not reported. */
  readonly mainModeSa: bigint;
  /** See {@linkcode SecurityAnswer.mainModeSa}. */
  readonly quickModeSa: bigint;
  /** Why a negotiation failed, as a Win32 code; 0: it did not. */
  readonly negotiationError: number;
  /** The key that finds the associations in the Windows Filtering Platform. */
  readonly lookupContext: string;
}

const NO_GUID = "00000000-0000-0000-0000-000000000000";

/** Reads an answer of either form; `bytes` must be at least as long as the shorter form. */
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
