/**
 * The six functions of fwpuclnt.dll, over simulated sockets, with every documented check.
 *
 * @see https://learn.microsoft.com/windows/win32/api/ws2tcpip/nf-ws2tcpip-wsaquerysocketsecurity
 *
 * @module
 */

import type { Calls } from "../../ffi/abi.ts";
import {
  type FWPUCLNT,
  SOCKET_INFO_CONNECTION,
  SOCKET_PEER_TARGET_NAME,
  SOCKET_QUERY_IPSEC2,
  SOCKET_QUERY_IPSEC2_FIELD_MASK,
  SOCKET_SECURITY_PROTOCOL,
  SOCKET_SECURITY_QUERY_INFO,
  SOCKET_SECURITY_QUERY_INFO_IPSEC2,
  SOCKET_SECURITY_QUERY_TEMPLATE,
  SOCKET_SECURITY_QUERY_TEMPLATE_IPSEC2,
  SOCKET_SECURITY_SETTINGS,
  SOCKET_SECURITY_SETTINGS_IPSEC,
} from "../../ffi/raw/fwpuclnt.ts";
import { AF, SOCKADDR_IN } from "../../ffi/raw/ws2_32.ts";
import { readAddress } from "../../ffi/winsock/address.ts";
import { wideText } from "../../ffi/memory/text.ts";
import { isAny } from "./address.ts";
import type { Association } from "./association.ts";
import type { Host, KnownPolicy } from "./host.ts";
import type { Outcome, SocketSettings } from "./negotiation.ts";
import type { Network } from "./network.ts";
import { SimulatedSocket, UnservedSocket } from "./socket.ts";

const WSA = {
  EFAULT: 10014,
  EINVAL: 10022,
  ENOTSOCK: 10038,
  EMSGSIZE: 10040,
  EAFNOSUPPORT: 10047,
  ECONNRESET: 10054,
  EISCONN: 10056,
} as const;
const NO_GUID = "00000000-0000-0000-0000-000000000000";
const KNOWN_FLAGS = 0x3;
const KNOWN_IPSEC_FLAGS = 0xf;
const STRINGS = SOCKET_SECURITY_SETTINGS_IPSEC.offsets.AllStrings;

/** What the functions need from the rest of the host. */
export interface SecureSocketHooks {
  /** The policy with a key; `null`: there is none. */
  readonly policy: (key: string) => KnownPolicy | null;
  /** Opens a token of the peer; 0: the peer has none of this kind. */
  readonly token: (peer: Host, kind: "user" | "machine", access: number) => bigint;
  /** Makes the calling thread carry a token of the peer. */
  readonly impersonate: (peer: Host, kind: "user" | "machine") => void;
  /** Ends what `impersonate` began; does nothing otherwise. */
  readonly revert: () => void;
}

type Functions = Pick<
  Calls<typeof FWPUCLNT>,
  | "WSASetSocketSecurity"
  | "WSAQuerySocketSecurity"
  | "WSASetSocketPeerTargetName"
  | "WSADeleteSocketPeerTargetName"
  | "WSAImpersonateSocketPeer"
  | "WSARevertImpersonation"
>;

const viewOf = (bytes: Uint8Array): DataView => new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/** Reads the settings from a structure; returns them, or the error. */
function readSettings(
  bytes: Uint8Array | null,
  length: number,
  hooks: SecureSocketHooks,
): SocketSettings | number {
  const plain: SocketSettings = {
    flags: 0,
    ipsecFlags: 0,
    authentication: "anonymous",
    impersonation: false,
  };
  if (bytes === null) return plain;
  if (length < SOCKET_SECURITY_SETTINGS.size) return WSA.EMSGSIZE;
  const { SecurityProtocol, SecurityFlags } = SOCKET_SECURITY_SETTINGS.read(viewOf(bytes));
  if (SecurityProtocol >= SOCKET_SECURITY_PROTOCOL.INVALID || SecurityFlags & ~KNOWN_FLAGS) return WSA.EINVAL;
  if (length === SOCKET_SECURITY_SETTINGS.size) return { ...plain, flags: SecurityFlags };
  if (SecurityProtocol === SOCKET_SECURITY_PROTOCOL.DEFAULT) return WSA.EINVAL;
  if (length < SOCKET_SECURITY_SETTINGS_IPSEC.size) return WSA.EMSGSIZE;
  const ipsec = SOCKET_SECURITY_SETTINGS_IPSEC.read(viewOf(bytes));
  const strings = ipsec.UserNameStringLen + ipsec.DomainNameStringLen + ipsec.PasswordStringLen;
  if (STRINGS + strings > length) return WSA.EMSGSIZE;
  if (ipsec.IpsecFlags & ~KNOWN_IPSEC_FLAGS || ipsec.Reserved !== NO_GUID || ipsec.Reserved2 !== 0n) {
    return WSA.EINVAL;
  }
  const keys = [ipsec.AuthipMMPolicyKey, ipsec.AuthipQMPolicyKey].filter((key) => key !== NO_GUID);
  const policies = keys.map(hooks.policy);
  if (policies.includes(null)) return WSA.EINVAL;
  const proposals = policies.map((policy) => policy!.proposals).find((each) => each !== undefined);
  return {
    flags: SecurityFlags,
    ipsecFlags: ipsec.IpsecFlags,
    authentication: policies.some((policy) => policy!.authentication === "kerberos")
      ? "kerberos"
      : "anonymous",
    impersonation: policies.some((policy) => policy!.impersonation),
    ...(proposals ? { proposals } : {}),
  };
}

/** Reads a peer's address as a key; returns it, or the error. */
function peerKey(bytes: Uint8Array): string | number {
  const family = viewOf(bytes).getUint16(0, true);
  if (family !== AF.INET && family !== AF.INET6) return WSA.EAFNOSUPPORT;
  const address = readAddress(bytes);
  if (isAny(address) && address.port === 0) return WSA.EINVAL;
  return `${address.hostname}:${address.port}`;
}

/** The offset of the peer's address in both structures that contain one. */
const PEER = SOCKET_PEER_TARGET_NAME.offsets.PeerAddress;

/** The functions of a host. */
export function secureSocketCalls(network: Network, host: Host, hooks: SecureSocketHooks): Functions {
  const { machine } = host;
  const answersAborted = network.options.abortedQuery !== "WSAECONNRESET";
  const on = (handle: bigint, fn: (socket: SimulatedSocket) => number): number => {
    const socket = machine.find(handle, SimulatedSocket);
    const other = machine.find(handle, UnservedSocket);
    const code = socket ? fn(socket) : other ? WSA.EINVAL : WSA.ENOTSOCK;
    return code === 0 ? 0 : machine.fail(code, -1);
  };
  const setTarget = (socket: SimulatedSocket, bytes: Uint8Array | null, length: number): number => {
    const strings = SOCKET_PEER_TARGET_NAME.offsets.AllStrings;
    if (bytes === null) return WSA.EFAULT;
    if (length < strings) return WSA.EMSGSIZE;
    const view = viewOf(bytes);
    const nameLength = view.getUint32(SOCKET_PEER_TARGET_NAME.offsets.PeerTargetNameStringLen, true);
    if (strings + nameLength > length) return WSA.EMSGSIZE;
    if (view.getUint32(0, true) >= SOCKET_SECURITY_PROTOCOL.INVALID) return WSA.EINVAL;
    if (socket.connection !== null) return WSA.EISCONN;
    const key = socket.type === "stream" ? "" : peerKey(bytes.subarray(PEER));
    if (typeof key === "number") return key;
    const name = wideText(bytes.subarray(strings, strings + nameLength));
    socket.targets.set(key, name);
    return 0;
  };
  const securityOf = (socket: SimulatedSocket, key: string): { security: Outcome; peer: Host } | null => {
    if (socket.type === "datagram") {
      const known = socket.peers.get(key);
      return known ? { security: known.security, peer: known.host } : null;
    }
    const { connection, updated } = socket;
    return connection && updated ? { security: connection.security, peer: connection.peerHost } : null;
  };
  const query = (
    socket: SimulatedSocket,
    template: Uint8Array | null,
    templateLength: number,
    info: Uint8Array | null,
    infoLength: Uint8Array | null,
  ): number => {
    if (infoLength === null) return WSA.EFAULT;
    if (socket.connection?.incoming.broken && !(socket.aborted && answersAborted)) return WSA.ECONNRESET;
    const asked = readTemplate(socket, template, templateLength);
    if (typeof asked === "number") return asked;
    const length = viewOf(infoLength);
    const layout = asked.extended ? SOCKET_SECURITY_QUERY_INFO_IPSEC2 : SOCKET_SECURITY_QUERY_INFO;
    const room = length.getUint32(0, true);
    length.setUint32(0, layout.size, true);
    if (info === null) {
      const probe = network.options.sizeProbe ?? "WSAEMSGSIZE";
      return socket.type === "stream" && probe === "WSAEFAULT" ? WSA.EFAULT : WSA.EMSGSIZE;
    }
    if (room < layout.size) return WSA.EMSGSIZE;
    const known = securityOf(socket, asked.key);
    const association = associationOf(known);
    if (association !== null && asked.watched !== 0) socket.watch(association, asked.watched);
    fill(known, association, asked, info);
    return 0;
  };
  const associationOf = (known: { security: Outcome; peer: Host } | null): Association | null =>
    known?.security.kind === "secured"
      ? network.associations.between(host, known.peer, known.security)
      : null;
  const fill = (
    known: { security: Outcome; peer: Host } | null,
    association: Association | null,
    asked: Asked,
    info: Uint8Array,
  ): void => {
    const { IPSEC, IPSEC2 } = SOCKET_SECURITY_PROTOCOL;
    const { security, peer } = known ?? { security: { kind: "clear" } as Outcome, peer: null };
    const secured = security.kind === "secured" ? security : null;
    const { SECURED, ENCRYPTED, IMPERSONATED } = SOCKET_INFO_CONNECTION;
    const flags = secured === null
      ? 0
      : SECURED | (secured.encrypted ? ENCRYPTED : 0) | (secured.impersonation ? IMPERSONATED : 0);
    const tokens = secured && peer && asked.access !== 0;
    const user = tokens && secured.impersonation ? hooks.token(peer, "user", asked.access) : 0n;
    const computer = tokens && secured.mutual ? hooks.token(peer, "machine", asked.access) : 0n;
    SOCKET_SECURITY_QUERY_INFO.write(viewOf(info), {
      SecurityProtocol: asked.extended ? IPSEC2 : IPSEC,
      Flags: flags,
      PeerApplicationAccessTokenHandle: user,
      PeerMachineAccessTokenHandle: computer,
    });
    if (!asked.extended) return;
    SOCKET_SECURITY_QUERY_INFO_IPSEC2.write(viewOf(info), {
      MmSaId: association?.mainModeSa ?? 0n,
      QmSaId: BigInt(association?.quickModeSa ?? 0),
      NegotiationWinerr: security.kind === "failed" ? security.winerr : 0,
      SaLookupContext: association?.lookupContext ?? NO_GUID,
    });
  };
  const impersonate = (socket: SimulatedSocket, peer: Uint8Array | null, length: number): number => {
    const stream = socket.type === "stream";
    if (!stream && peer === null) return WSA.EFAULT;
    if (!stream && length < SOCKADDR_IN.size) return WSA.EMSGSIZE;
    const key = stream ? "" : peerKey(peer!);
    if (typeof key === "number") return key;
    // The codes for an overlapped socket, and for a peer without a token, are not documented.
    if (socket.overlapped) return WSA.EINVAL;
    const known = securityOf(socket, key);
    if (known?.security.kind !== "secured") return WSA.EINVAL;
    if (!known.security.impersonation && !known.security.mutual) return WSA.EINVAL;
    hooks.impersonate(known.peer, known.security.impersonation ? "user" : "machine");
    return 0;
  };
  return {
    WSASetSocketSecurity: (s, bytes, length) =>
      on(s, (socket) => {
        const settings = readSettings(bytes, length, hooks);
        if (typeof settings === "number") return settings;
        if (socket.connection !== null) return WSA.EISCONN;
        if (socket.local !== null || socket.secured) return WSA.EINVAL;
        socket.settings = settings;
        socket.secured = true;
        return 0;
      }),
    WSAQuerySocketSecurity: (s, template, templateLength, info, infoLength) =>
      on(s, (socket) => query(socket, template, templateLength, info, infoLength)),
    WSASetSocketPeerTargetName: (s, bytes, length) => on(s, (socket) => setTarget(socket, bytes, length)),
    WSADeleteSocketPeerTargetName: (s, peer, length) =>
      on(s, (socket) => {
        if (peer === null) return WSA.EFAULT;
        if (length < SOCKADDR_IN.size) return WSA.EMSGSIZE;
        const key = peerKey(peer);
        if (typeof key === "number") return key;
        socket.targets.delete(socket.type === "stream" ? "" : key);
        return 0;
      }),
    WSAImpersonateSocketPeer: (s, peer, length) => on(s, (socket) => impersonate(socket, peer, length)),
    WSARevertImpersonation() {
      hooks.revert();
      return 0;
    },
  };
}

/** The contents of a query template. */
interface Asked {
  readonly extended: boolean;
  readonly access: number;
  /** The peer of datagrams. */
  readonly key: string;
  /** The fields whose change ends the connection; 0: none. */
  readonly watched: number;
}

function readTemplate(
  socket: SimulatedSocket,
  template: Uint8Array | null,
  length: number,
): Asked | number {
  if (template === null) {
    return socket.type === "stream" ? { extended: false, access: 0, key: "", watched: 0 } : WSA.EMSGSIZE;
  }
  if (length < SOCKET_SECURITY_QUERY_TEMPLATE.size) return WSA.EMSGSIZE;
  const view = viewOf(template);
  const protocol = view.getUint32(0, true);
  if (protocol >= SOCKET_SECURITY_PROTOCOL.INVALID) return WSA.EINVAL;
  const extended = protocol === SOCKET_SECURITY_PROTOCOL.IPSEC2;
  if (extended && length < SOCKET_SECURITY_QUERY_TEMPLATE_IPSEC2.size) return WSA.EMSGSIZE;
  const access = view.getUint32(SOCKET_SECURITY_QUERY_TEMPLATE.offsets.PeerTokenAccessMask, true);
  const watched = extended ? readWatched(socket, view) : 0;
  if (watched === null) return WSA.EINVAL;
  const key = socket.type === "stream" ? "" : peerKey(template.subarray(PEER));
  return typeof key === "number" ? key : { extended, access, key, watched };
}

/**
 * The fields to watch; `null` if they are invalid, which is not documented: datagrams have no connection to abort.
 */
function readWatched(socket: SimulatedSocket, view: DataView): number | null {
  const { Flags, FieldMask } = SOCKET_SECURITY_QUERY_TEMPLATE_IPSEC2.read(view);
  const { ABORT_CONNECTION_ON_FIELD_CHANGE } = SOCKET_QUERY_IPSEC2;
  const { MM_SA_ID, QM_SA_ID } = SOCKET_QUERY_IPSEC2_FIELD_MASK;
  if (Flags & ~ABORT_CONNECTION_ON_FIELD_CHANGE || FieldMask & ~(MM_SA_ID | QM_SA_ID)) return null;
  if (Flags === 0) return 0;
  return FieldMask === 0 || socket.type === "datagram" ? null : FieldMask;
}
