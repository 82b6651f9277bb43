/**
 * Winsock, started once for a system: its libraries, its completion port, name resolution, and the address of
 * ConnectEx.
 *
 * @module
 */

import { StateError, UnsupportedPlatformError } from "../../errors.ts";
import type { Calls, Library } from "../abi.ts";
import { BufferPool } from "./buffers.ts";
import { CompletionPort, LOST_ERROR } from "./completion_port.ts";
import { Events } from "./events.ts";
import { track } from "../handles.ts";
import { type Memory, pinned } from "../memory/memory.ts";
import { resolveName } from "./resolve.ts";
import type { Grant } from "../permissions.ts";
import { KERNEL32 } from "../raw/kernel32.ts";
import { MSWSOCK, WSAID_CONNECTEX } from "../raw/mswsock.ts";
import { NTDLL } from "../raw/ntdll.ts";
import { CC_STDCALL, OLEAUT32, VARIANT, VT } from "../raw/oleaut32.ts";
import { UCRTBASE } from "../raw/ucrtbase.ts";
import {
  INVALID_SOCKET,
  IPPROTO,
  SIO,
  SO,
  SOCK,
  SOL_SOCKET,
  WS2_32,
  WSA_FLAG,
  WSADATA,
  WSAPROTOCOL_INFOW,
  XP1_IFS_HANDLES,
} from "../raw/ws2_32.ts";
import { familyOf, type SocketAddress } from "./address.ts";
import { nativeError, socketError } from "../status.ts";
import { struct } from "../memory/struct.ts";
import type { NativeSystem } from "../system.ts";

const VERSION_2_2 = 0x0202;
const GUID = struct("GUID", { value: "guid" });

/** The arguments of an overlapped ConnectEx. */
export interface ConnectExArguments {
  /** The socket: bound, not connected. */
  readonly socket: bigint;
  /** The address of the peer's address structure, which must stay there until the call completes. */
  readonly name: bigint;
  /** Its length. */
  readonly nameLength: number;
  /** The address of the OVERLAPPED. */
  readonly overlapped: bigint;
}

const known = new WeakMap<NativeSystem, Winsock>();

/**
 * Returns the Winsock of a system.
 *
 * @throws PermissionError, UnsupportedPlatformError, StateError (closed).
 */
export function winsockOf(system: NativeSystem, grant: Grant): Winsock {
  const found = known.get(system) ?? new Winsock(system, grant);
  known.set(system, found);
  return found;
}

/** The resources that exist while Winsock is used. */
interface Session {
  readonly port: CompletionPort;
  readonly buffers: BufferPool;
  end(): void;
}

/** The open libraries, the completion port and shared operations. Started by the first user and ended by the last. */
export class Winsock {
  /** ws2_32.dll */
  readonly call: Calls<typeof WS2_32>;
  /** mswsock.dll */
  readonly extensions: Calls<typeof MSWSOCK>;
  /** Addresses and foreign memory. */
  readonly memory: Memory;
  readonly #system: NativeSystem;
  readonly #dispatch: Library<typeof OLEAUT32>;
  readonly #kernel: Library<typeof KERNEL32>;
  readonly #ntdll: Library<typeof NTDLL>;
  readonly #events: Events;
  #session: Session | null = null;
  #references = 0;
  #connectEx: bigint | null = null;

  constructor(system: NativeSystem, grant: Grant) {
    this.#system = system;
    this.call = system.library(grant, WS2_32).call;
    this.extensions = system.library(grant, MSWSOCK).call;
    this.#dispatch = system.library(grant, OLEAUT32);
    this.#kernel = system.library(grant, KERNEL32);
    this.#ntdll = system.library(grant, NTDLL);
    this.#events = new Events(this.#kernel);
    this.memory = system.memory(grant, UCRTBASE);
  }

  /**
   * Keeps Winsock running until the returned function is called, even after the system is closed.
   *
   * @throws StateError where it has no user and the system is closed.
   */
  use(): () => void {
    this.#session ??= this.#start();
    this.#references++;
    let used = true;
    return () => {
      if (!used) return;
      used = false;
      this.#references--;
      if (this.#references > 0) return;
      this.#session?.end();
      this.#session = null;
    };
  }

  #start(): Session {
    this.#system.requireOpen();
    const error = this.call.WSAStartup(VERSION_2_2, pinned(WSADATA.size));
    if (error !== 0) throw socketError("WSAStartup", error, "start Winsock");
    try {
      const port = new CompletionPort({ kernel: this.#kernel, ntdll: this.#ntdll, memory: this.memory });
      const release = this.#system.hold();
      const untrack = track("winsock");
      const end = (): void => {
        port.close();
        this.call.WSACleanup();
        untrack();
        release();
      };
      return { port, buffers: new BufferPool(this.memory), end };
    } catch (error) {
      this.call.WSACleanup();
      throw error;
    }
  }

  /** The port that receives the completions of all sockets. */
  get port(): CompletionPort {
    return this.#running.port;
  }

  /** The buffers for sending and receiving. */
  get buffers(): BufferPool {
    return this.#running.buffers;
  }

  get #running(): Session {
    if (this.#session) return this.#session;
    throw new StateError("Winsock is not in use");
  }

  /**
   * Makes operations of a stream socket that succeed immediately send no completion, which saves one system call for
   * each. Not for sockets that are not file system handles: these would then send no completion at all.
   *
   * @returns whether the setting is in effect.
   * @see https://learn.microsoft.com/windows/win32/api/winbase/nf-winbase-setfilecompletionnotificationmodes
   */
  skipCompletionOnSuccess(socket: bigint): boolean {
    const [info, length] = [pinned(WSAPROTOCOL_INFOW.size), pinned(4)];
    new DataView(length.buffer).setInt32(0, info.length, true);
    if (this.call.getsockopt(socket, SOL_SOCKET, SO.PROTOCOL_INFOW, info, length) !== 0) return false;
    const { dwServiceFlags1 } = WSAPROTOCOL_INFOW.read(new DataView(info.buffer));
    return (dwServiceFlags1 & XP1_IFS_HANDLES) !== 0 && this.port.skipCompletionOnSuccess(socket);
  }

  /**
   * Returns how an overlapped call began; called directly after it: 0 where it has succeeded, `ERROR_IO_PENDING`
   * where it has begun, otherwise its error. A call that failed without an error did not succeed and may have begun.
   */
  begun(ok: boolean): number {
    const error = this.call.WSAGetLastError();
    return ok ? 0 : error || LOST_ERROR;
  }

  /** Creates an overlapped socket that child processes do not inherit. */
  createSocket(version: 4 | 6, type: "stream" | "datagram"): bigint {
    const [kind, protocol] = type === "stream" ? [SOCK.STREAM, IPPROTO.TCP] : [SOCK.DGRAM, IPPROTO.UDP];
    const flags = WSA_FLAG.OVERLAPPED | WSA_FLAG.NO_HANDLE_INHERIT;
    const socket = this.call.WSASocketW(familyOf(version), kind, protocol, 0n, 0, flags);
    if (socket !== INVALID_SOCKET) return socket;
    throw socketError("WSASocketW", this.call.WSAGetLastError(), "make a socket");
  }

  /**
   * The addresses of a host, in the order in which to try them.
   *
   * @param signal cancels the query; its reason is rethrown immediately and unchanged.
   * @throws TransportError where the name has no address.
   */
  resolve(
    hostname: string,
    port: number,
    type: "stream" | "datagram",
    purpose: "connect" | "listen" = "connect",
    signal?: AbortSignal,
  ): Promise<SocketAddress[]> {
    const { call, memory } = this;
    const means = { call, memory, events: this.#events, use: () => this.use() };
    return resolveName(means, { hostname, port, type, purpose }, signal);
  }

  /**
   * Calls ConnectEx, which is not exported: DispCallFunc calls the function at its address.
   *
   * @returns 0 where it has succeeded, `ERROR_IO_PENDING` where it has begun, otherwise its error.
   */
  connectEx({ socket, name, nameLength, overlapped }: ConnectExArguments): number {
    const target = this.#connectEx ??= this.#findConnectEx(socket);
    const values: readonly (readonly [type: number, value: bigint])[] = [
      [VT.I8, socket],
      [VT.I8, name],
      [VT.I4, BigInt(nameLength)],
      [VT.I8, 0n],
      [VT.I4, 0n],
      [VT.I8, 0n],
      [VT.I8, overlapped],
    ];
    const variants = pinned(values.length * VARIANT.size);
    const [types, pointers] = [pinned(values.length * 2), pinned(values.length * 8)];
    const base = this.memory.addressOf(variants);
    values.forEach(([type, value], index) => {
      const llVal = BigInt.asIntN(64, value);
      VARIANT.write(new DataView(variants.buffer), { vt: type, llVal }, index * VARIANT.size);
      new DataView(types.buffer).setUint16(index * 2, type, true);
      new DataView(pointers.buffer).setBigUint64(index * 8, base + BigInt(index * VARIANT.size), true);
    });
    const result = pinned(VARIANT.size);
    const { DispCallFunc } = this.#dispatch.call;
    const count = values.length;
    const status = DispCallFunc(0n, target, CC_STDCALL, VT.I4, count, types, pointers, result);
    // No other call may come between the call and its last error: the call's own result is read afterwards.
    const failed = this.begun(false);
    if (status !== 0) throw socketError("DispCallFunc", status, "connect");
    const { llVal } = VARIANT.read(new DataView(result.buffer));
    return (llVal & 0xffff_ffffn) !== 0n ? 0 : failed;
  }

  #findConnectEx(socket: bigint): bigint {
    const [id, pointer, bytes] = [pinned(16), pinned(8), pinned(4)];
    GUID.write(new DataView(id.buffer), { value: WSAID_CONNECTEX });
    const code = SIO.GET_EXTENSION_FUNCTION_POINTER;
    const result = this.call.WSAIoctl(socket, code, id, id.length, pointer, pointer.length, bytes, 0n, 0n);
    if (result === 0) return new DataView(pointer.buffer).getBigUint64(0, true);
    const error = this.call.WSAGetLastError();
    throw new UnsupportedPlatformError("This system has no ConnectEx", {
      dll: "mswsock.dll",
      symbol: "ConnectEx",
      instead: "Use Windows Vista or later",
    }, { cause: nativeError("WSAIoctl", error) });
  }
}
