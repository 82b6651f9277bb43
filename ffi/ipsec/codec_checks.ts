/**
 * A codec's names and questions, held against what was asked for before the system gets them. A codec may be a
 * stranger's: one that names another peer, or asks for tokens nobody wanted, would weaken the connection.
 *
 * @module
 */

import { ProviderTrapError } from "../../errors.ts";
import { wideString } from "../memory/memory.ts";
import {
  SOCKET_PEER_TARGET_NAME,
  SOCKET_QUERY_IPSEC2,
  SOCKET_QUERY_IPSEC2_FIELD_MASK,
  SOCKET_SECURITY_PROTOCOL,
  SOCKET_SECURITY_QUERY_TEMPLATE,
  SOCKET_SECURITY_QUERY_TEMPLATE_IPSEC2,
} from "../raw/fwpuclnt.ts";
import { SOCKADDR_STORAGE } from "../raw/ws2_32.ts";

/** The fields of an association that a query can watch, as its template has them. */
export const WATCHABLE = {
  mainModeSa: SOCKET_QUERY_IPSEC2_FIELD_MASK.MM_SA_ID,
  quickModeSa: SOCKET_QUERY_IPSEC2_FIELD_MASK.QM_SA_ID,
} as const;

/** What a query was to ask. */
export interface QueryTerms {
  /** The peer's address, or nothing. */
  readonly peer: Uint8Array;
  /** The access to the peer's tokens; 0: none. */
  readonly access: number;
  /** What the system is to watch; empty: nothing. */
  readonly watched: readonly (keyof typeof WATCHABLE)[];
}

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/** Whether `bytes` are `expected`, and zeros behind them. */
function isPadded(bytes: Uint8Array, expected: Uint8Array): boolean {
  return bytes.length >= expected.length && bytes.every((byte, index) => byte === (expected[index] ?? 0));
}

function refuse(what: string, problem: string): never {
  throw new ProviderTrapError(`The provider's ${what} was refused: it ${problem}. Report this to it`);
}

function checkProtocol(what: string, protocol: number): void {
  if (protocol >= SOCKET_SECURITY_PROTOCOL.INVALID) refuse(what, `is of the unknown protocol ${protocol}`);
}

/** Checks the template of a query. @throws ProviderTrapError where it is not what was asked for. */
export function checkTemplate(template: Uint8Array, { peer, access, watched }: QueryTerms): Uint8Array {
  const what = "query template";
  const { size } = SOCKET_SECURITY_QUERY_TEMPLATE;
  const extended = SOCKET_SECURITY_QUERY_TEMPLATE_IPSEC2.size;
  if (template.length !== size && template.length !== extended) refuse(what, `has ${template.length} bytes`);
  const { SecurityProtocol, PeerTokenAccessMask } = SOCKET_SECURITY_QUERY_TEMPLATE.read(viewOf(template));
  checkProtocol(what, SecurityProtocol);
  const isExtended = SecurityProtocol === SOCKET_SECURITY_PROTOCOL.IPSEC2;
  if (isExtended !== (template.length === extended)) refuse(what, "has a length that is not its protocol's");
  if (PeerTokenAccessMask !== access) {
    refuse(what, "asks for another access to the peer's tokens than is used");
  }
  const at = SOCKET_SECURITY_QUERY_TEMPLATE.offsets.PeerAddress;
  if (!isPadded(template.subarray(at, at + SOCKADDR_STORAGE.size), peer)) {
    refuse(what, "is about another peer");
  }
  const { Flags, FieldMask } = isExtended
    ? SOCKET_SECURITY_QUERY_TEMPLATE_IPSEC2.read(viewOf(template))
    : { Flags: 0, FieldMask: 0 };
  const abort = watched.length === 0 ? 0 : SOCKET_QUERY_IPSEC2.ABORT_CONNECTION_ON_FIELD_CHANGE;
  if (Flags !== abort) {
    refuse(
      what,
      abort === 0 ? "has the system watch the connection unasked" : "leaves the association unwatched",
    );
  }
  const fields = watched.reduce((bits, field) => bits | WATCHABLE[field], 0);
  if (abort !== 0 && FieldMask !== fields) refuse(what, "has the system watch something else than was asked");
  return template;
}

/** Checks the name of a peer. @throws ProviderTrapError where it is not the one that was given. */
export function checkTarget(target: Uint8Array, peer: Uint8Array, name: string): Uint8Array {
  const what = "peer name";
  const { offsets, size } = SOCKET_PEER_TARGET_NAME;
  if (target.length < size) refuse(what, `has ${target.length} bytes`);
  const view = viewOf(target);
  checkProtocol(what, view.getUint32(offsets.SecurityProtocol, true));
  const address = target.subarray(offsets.PeerAddress, offsets.PeerAddress + SOCKADDR_STORAGE.size);
  if (!isPadded(address, peer)) refuse(what, "is about another peer");
  const units = wideString(name).subarray(0, 2 * name.length);
  const length = view.getUint32(offsets.PeerTargetNameStringLen, true);
  // Bytes or UTF-16 units: the documents disagree, and the codec decides.
  const whole = length === units.length || length === name.length;
  if (!whole || !isPadded(target.subarray(offsets.AllStrings), units)) refuse(what, "names another computer");
  return target;
}
