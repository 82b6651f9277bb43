/**
 * The base of overlapped sockets: a handle with one owner, options, addresses, and operations whose memory is
 * released only when the system no longer uses it.
 *
 * @module
 */

import { StateError } from "../../errors.ts";
import type { PooledBuffer } from "./buffers.ts";
import { BLOCK, type Block, type Completion, type Kept } from "./completion_port.ts";
import { track } from "../handles.ts";
import { pinned } from "../memory/memory.ts";
import { SOCKADDR_STORAGE, WSABUF } from "../raw/ws2_32.ts";
import { readAddress, type SocketAddress } from "./address.ts";
import { socketError } from "../status.ts";
import type { Winsock } from "./winsock.ts";

/** One overlapped operation of a socket. */
export interface Operation<T> {
  /** The function's name, for errors. */
  readonly fn: string;
  /** What it does, for errors, after "Cannot ". */
  readonly doing: string;
  /** Makes the call; returns 0 where it has succeeded, `ERROR_IO_PENDING` where it has begun, otherwise its error. */
  begin(block: Block): number;
  /** Reads the result of a successful completion. */
  read(completion: Completion): T;
  /** Memory that the system uses in addition to the block. */
  readonly keep?: Kept;
  /** Cancels the operation; its reason is rethrown unchanged. */
  readonly signal?: AbortSignal;
}

/** One socket, with one owner; closing twice is harmless. */
export abstract class OverlappedSocket {
  /** The system's handle. */
  protected readonly handle: bigint;
  /** The IP version. */
  readonly version: 4 | 6;
  /** The Winsock that created it. */
  protected readonly winsock: Winsock;
  readonly #direct: boolean;
  readonly #untrack: () => void;
  readonly #unuse: () => void;
  readonly #pending = new Set<Promise<unknown>>();
  #closing: Promise<void> | null = null;

  /** Makes a socket that is neither bound nor connected. */
  constructor(winsock: Winsock, version: 4 | 6, type: "stream" | "datagram") {
    this.winsock = winsock;
    this.version = version;
    this.#unuse = winsock.use();
    try {
      this.handle = winsock.createSocket(version, type);
    } catch (error) {
      this.#unuse();
      throw error;
    }
    this.#untrack = track("socket");
    try {
      winsock.port.associate(this.handle);
      this.#direct = type === "stream" && winsock.skipCompletionOnSuccess(this.handle);
    } catch (error) {
      // Not close(): the derived class, which may extend it, is not constructed yet.
      this.#closing = this.#release();
      throw error;
    }
  }

  /** Binds to an address of this machine. */
  bind(address: Uint8Array): void {
    const { call } = this.live("bind");
    if (call.bind(this.handle, address, address.length) === 0) return;
    const code = call.WSAGetLastError();
    throw socketError("bind", code, `listen on ${describe(readAddress(address))}`);
  }

  /**
   * Returns the system's handle, to pass to one call immediately: it becomes invalid when the socket is closed.
   * @throws StateError where the socket is closed.
   */
  handleFor(doing: string): bigint {
    this.live(doing);
    return this.handle;
  }

  /** Sets an option. */
  setOption(level: number, name: number, value: Uint8Array): void {
    const { call } = this.live("set an option");
    const given = value.length === 0 ? null : value;
    if (call.setsockopt(this.handle, level, name, given, value.length) === 0) return;
    throw socketError("setsockopt", call.WSAGetLastError(), `set the socket's option 0x${name.toString(16)}`);
  }

  /** This end. */
  get localAddress(): SocketAddress {
    return this.#name("getsockname");
  }

  /** The peer's end. */
  get remoteAddress(): SocketAddress {
    return this.#name("getpeername");
  }

  #name(fn: "getsockname" | "getpeername"): SocketAddress {
    const { call } = this.live("read an address");
    const [name, length] = [pinned(SOCKADDR_STORAGE.size), pinned(4)];
    new DataView(length.buffer).setInt32(0, name.length, true);
    if (call[fn](this.handle, name, length) === 0) return readAddress(name);
    throw socketError(fn, call.WSAGetLastError(), "read the socket's address");
  }

  /** Cancels pending operations and closes the socket; resolves when the system no longer uses any of its memory. */
  close(): Promise<void> {
    return this.#closing ??= this.#release();
  }

  async #release(): Promise<void> {
    // closesocket aborts pending operations; data that was sent is still transmitted.
    this.winsock.call.closesocket(this.handle);
    await Promise.allSettled([...this.#pending]);
    this.#untrack();
    this.#unuse();
  }

  /** Whether closing has begun. */
  protected get closed(): boolean {
    return this.#closing !== null;
  }

  /** Returns Winsock. @throws StateError where the socket was closed. */
  protected live(doing: string): Winsock {
    if (this.#closing) throw new StateError(`Cannot ${doing}: the socket was closed`);
    return this.winsock;
  }

  /** Describes `buffer` to the system within a block. */
  protected describeBuffer(block: Block, { bytes, address }: PooledBuffer): bigint {
    WSABUF.write(block.view, { len: bytes.length, buf: address }, BLOCK.buffers);
    return block.address + BigInt(BLOCK.buffers);
  }

  /** Runs one overlapped operation to its end, which `close()` waits for. */
  protected async run<T>({ fn, doing, begin, read, keep, signal }: Operation<T>): Promise<T> {
    if (signal?.aborted) {
      keep?.release?.();
      signal.throwIfAborted();
    }
    const { port } = this.winsock;
    let started: Block | null = null;
    const onAbort = (): void => {
      if (started && !this.#closing) port.cancel(this.handle, started);
    };
    const running = port.run<T>({
      begin,
      direct: this.#direct,
      refused: (code) => socketError(fn, code, doing),
      read: (completion) => {
        if (completion.code === 0) return read(completion);
        if (this.#closing) throw new StateError(`Cannot ${doing}: the socket was closed`);
        throw socketError(fn, completion.code, doing);
      },
      onStarted: (block) => void (started = block),
      ...(keep ? { keep } : {}),
    });
    this.#pending.add(running);
    signal?.addEventListener("abort", onAbort, { once: true });
    try {
      return await running;
    } catch (error) {
      signal?.throwIfAborted();
      throw error;
    } finally {
      started = null;
      signal?.removeEventListener("abort", onAbort);
      this.#pending.delete(running);
    }
  }
}

/** Formats an address as `host:port`. */
export function describe({ hostname, port, version }: SocketAddress): string {
  return version === 6 ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}
