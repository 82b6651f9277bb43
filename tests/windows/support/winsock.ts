/**
 * The Winsock calls the fixture's tests need, as tables of their own, so that the fixture is proved by something
 * that does not share the library's view of it.
 */

import type { Library, LibrarySpec } from "../../../ffi/abi.ts";
import { wideString } from "../../../ffi/memory/memory.ts";
import { INVALID_SOCKET } from "../../../ffi/raw/ws2_32.ts";
import { openLibrary } from "./libraries.ts";

const WS2_32 = {
  name: "ws2_32.dll",
  instead: "It is part of Windows",
  files: { windows: ["ws2_32.dll"] },
  fns: {
    WSAStartup: { params: [["version", "u32"], ["data", "buf"]], result: "i32" },
    WSACleanup: { params: [], result: "i32" },
    WSAGetLastError: { params: [], result: "i32" },
    socket: { params: [["af", "i32"], ["type", "i32"], ["protocol", "i32"]], result: "usize" },
    WSASocketW: {
      params: [
        ["af", "i32"],
        ["type", "i32"],
        ["protocol", "i32"],
        ["info", "usize"],
        ["group", "u32"],
        ["flags", "u32"],
      ],
      result: "usize",
    },
    closesocket: { params: [["s", "usize"]], result: "i32" },
    bind: { params: [["s", "usize"], ["name", "buf"], ["namelen", "i32"]], result: "i32" },
    listen: { params: [["s", "usize"], ["backlog", "i32"]], result: "i32" },
    connect: { params: [["s", "usize"], ["name", "buf"], ["namelen", "i32"]], result: "i32" },
    accept: { params: [["s", "usize"], ["addr", "buf"], ["addrlen", "buf"]], result: "usize" },
    getsockname: { params: [["s", "usize"], ["name", "buf"], ["namelen", "buf"]], result: "i32" },
    getsockopt: {
      params: [["s", "usize"], ["level", "i32"], ["optname", "i32"], ["optval", "buf"], ["optlen", "buf"]],
      result: "i32",
    },
  },
} as const satisfies LibrarySpec;

const KERNEL32 = {
  name: "kernel32.dll",
  instead: "It is part of Windows",
  files: { windows: ["kernel32.dll"] },
  fns: { CloseHandle: { params: [["hObject", "usize"]], result: "i32" } },
} as const satisfies LibrarySpec;

const OVERLAPPED_TAIL = [["Overlapped", "buf"], ["CompletionRoutine", "usize"]] as const;

const FWPUCLNT = {
  name: "fwpuclnt.dll",
  instead: "It is part of Windows",
  files: { windows: ["fwpuclnt.dll"] },
  fns: {
    WSASetSocketSecurity: {
      params: [
        ["Socket", "usize"],
        ["SecuritySettings", "buf"],
        ["SecuritySettingsLen", "u32"],
        ...OVERLAPPED_TAIL,
      ],
      result: "i32",
    },
    WSAQuerySocketSecurity: {
      params: [
        ["Socket", "usize"],
        ["SecurityQueryTemplate", "buf"],
        ["SecurityQueryTemplateLen", "u32"],
        ["SecurityQueryInfo", "buf"],
        ["SecurityQueryInfoLen", "buf"],
        ...OVERLAPPED_TAIL,
      ],
      result: "i32",
    },
    WSASetSocketPeerTargetName: {
      params: [
        ["Socket", "usize"],
        ["PeerTargetName", "buf"],
        ["PeerTargetNameLen", "u32"],
        ...OVERLAPPED_TAIL,
      ],
      result: "i32",
    },
    WSADeleteSocketPeerTargetName: {
      params: [["Socket", "usize"], ["PeerAddr", "buf"], ["PeerAddrLen", "u32"], ...OVERLAPPED_TAIL],
      result: "i32",
    },
    WSAImpersonateSocketPeer: {
      params: [["Socket", "usize"], ["PeerAddr", "buf"], ["PeerAddrLen", "u32"]],
      result: "i32",
    },
    WSARevertImpersonation: { params: [], result: "i32" },
    FixtureControl: { params: [["option", "buf"], ["value", "u64"]], result: "i32", optional: true },
  },
} as const satisfies LibrarySpec;

/** `AF_*`, `SOCK_*` and `IPPROTO_*` as Windows numbers them. */
export const AF_INET = 2;
/** `AF_INET6` */
export const AF_INET6 = 23;
/** `SOCK_STREAM` */
export const STREAM = 1;
/** `SOCK_DGRAM` */
export const DGRAM = 2;
/** `SOCK_RAW` */
export const RAW = 3;

/** Winsock, started, with the six functions; one owner. */
export class Winsock implements Disposable {
  /** ws2_32.dll. */
  readonly ws: Library<typeof WS2_32> = openLibrary(WS2_32);
  /** fwpuclnt.dll: Windows' own, or the fixture. */
  readonly fwp: Library<typeof FWPUCLNT> = openLibrary(FWPUCLNT);
  readonly #kernel: Library<typeof KERNEL32> = openLibrary(KERNEL32);
  readonly #sockets = new Set<bigint>();

  constructor() {
    this.ws.call.WSAStartup(0x202, new Uint8Array(408));
  }

  /** The error of the call just made that answered SOCKET_ERROR; 0 where it answered 0. */
  error(result: number): number {
    return result === 0 ? 0 : this.ws.call.WSAGetLastError();
  }

  /** A new socket, closed with this object. */
  socket(family = AF_INET, type = STREAM): bigint {
    // A raw socket needs a protocol: ICMP.
    return this.#own(this.ws.call.socket(family, type, type === RAW ? 1 : 0));
  }

  /** A new socket that is not overlapped, as those of `socket()` are; closed with this object. */
  blockingSocket(family = AF_INET, type = STREAM): bigint {
    return this.#own(this.ws.call.WSASocketW(family, type, 0, 0n, 0, 0));
  }

  #own(socket: bigint): bigint {
    if (socket === INVALID_SOCKET) throw new Error(`socket failed: ${this.ws.call.WSAGetLastError()}`);
    this.#sockets.add(socket);
    return socket;
  }

  /** Closes one. */
  close(socket: bigint): void {
    if (this.#sockets.delete(socket)) this.ws.call.closesocket(socket);
  }

  /** Binds to a port of 127.0.0.1 that the system picks. */
  bind(socket: bigint): void {
    const name = address("127.0.0.1", 0);
    const error = this.error(this.ws.call.bind(socket, name, name.length));
    if (error !== 0) throw new Error(`bind failed: ${error}`);
  }

  /** Connects two sockets over loopback; `prepare` sees each end before it is bound or connected. */
  pair(prepare: (socket: bigint) => void): { client: bigint; server: bigint } {
    const { call } = this.ws;
    const listener = this.socket();
    prepare(listener);
    this.bind(listener);
    call.listen(listener, 1);
    const name = new Uint8Array(16);
    call.getsockname(listener, name, new Uint8Array(Int32Array.of(16).buffer));
    const client = this.socket();
    prepare(client);
    const error = this.error(call.connect(client, name, 16));
    if (error !== 0) throw new Error(`connect failed: ${error}`);
    const server = call.accept(listener, null, null);
    this.#sockets.add(server);
    return { client, server };
  }

  /** Closes a handle; false where it was not open. */
  closeHandle(handle: bigint): boolean {
    return this.#kernel.call.CloseHandle(handle) !== 0;
  }

  /** Sets an option of the fixture; see FixtureControl in fixtures/fwpuclnt.c. */
  control(option: string, value: number | bigint = 0): void {
    const name = new TextEncoder().encode(`${option}\0`);
    if (this.fwp.call.FixtureControl(name, BigInt(value)) !== 0) throw new Error(`no option ${option}`);
  }

  [Symbol.dispose](): void {
    for (const socket of [...this.#sockets]) this.close(socket);
    this.ws.call.WSACleanup();
    this.#kernel.close();
    this.fwp.close();
    this.ws.close();
  }
}

/** A SOCKADDR_IN. */
export function address(host: string, port: number): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_INET, true);
  view.setUint16(2, port);
  bytes.set(host.split(".").map(Number), 4);
  return bytes;
}

/** SOCKET_PEER_TARGET_NAME, its length field in bytes as its page says. */
export function targetName(protocol: number, peer: Uint8Array, name: string): Uint8Array {
  const text = wideString(name).subarray(0, -2);
  const bytes = new Uint8Array(140 + text.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, protocol, true);
  bytes.set(peer, 8);
  view.setUint32(136, text.length, true);
  bytes.set(text, 140);
  return bytes;
}

/** SOCKET_SECURITY_QUERY_TEMPLATE, or its IPSEC2 form where `flags` and `fieldMask` are given. */
export function template(
  protocol: number,
  peer: Uint8Array,
  access: number,
  ipsec2?: { flags: number; fieldMask: number },
): Uint8Array {
  const bytes = new Uint8Array(ipsec2 ? 152 : 144);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, protocol, true);
  bytes.set(peer, 8);
  view.setUint32(136, access, true);
  if (ipsec2) {
    view.setUint32(140, ipsec2.flags, true);
    view.setUint32(144, ipsec2.fieldMask, true);
  }
  return bytes;
}

/** SOCKET_SECURITY_SETTINGS. */
export function settings(protocol: number, flags: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(protocol, flags).buffer);
}
