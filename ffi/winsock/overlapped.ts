/**
 * What every overlapped socket has: a handle with one owner, options, addresses, and operations whose memory is
 * given back only when the system is done with it.
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
  /** The function, as errors name it. */
  readonly fn: string;
  /** What it is for, as errors say it. */
  readonly doing: string;
  /** Makes the call; 0 where it has ended well, `ERROR_IO_PENDING` where it is under way, else its error. */
  begin(block: Block): number;
  /** Reads what a completion that went well gave. */
  read(completion: Completion): T;
  /** What the system uses besides the block. */
  readonly keep?: Kept;
  /** Gives up; its reason is rethrown unchanged. */
  readonly signal?: AbortSignal;
}

/** One socket, with one owner; closing twice is harmless. */
export abstract class OverlappedSocket {
  /** The system's handle. */
  protected readonly handle: bigint;
  /** The IP version. */
  readonly version: 4 | 6;
  /** What it was made by. */
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
      this.#direct = type === "stream" && winsock.skipAtOnce(this.handle);
    } catch (error) {
      // Not close(): what a derived class adds to it is not there yet.
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

  /** The system's handle, to pass to one call at once: it dies with the socket. @throws StateError where it has. */
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
    const { call } = this.live("tell an address");
    const [name, length] = [pinned(SOCKADDR_STORAGE.size), pinned(4)];
    new DataView(length.buffer).setInt32(0, name.length, true);
    if (call[fn](this.handle, name, length) === 0) return readAddress(name);
    throw socketError(fn, call.WSAGetLastError(), "tell the socket's address");
  }

  /** Ends what is pending and closes the socket; resolves once the system has let go of all its memory. */
  close(): Promise<void> {
    return this.#closing ??= this.#release();
  }

  async #release(): Promise<void> {
    // closesocket aborts what is pending and lets data that was sent go out.
    this.winsock.call.closesocket(this.handle);
    await Promise.allSettled([...this.#pending]);
    this.#untrack();
    this.#unuse();
  }

  /** Whether closing has begun. */
  protected get closed(): boolean {
    return this.#closing !== null;
  }

  /** Winsock, unless the socket was closed. */
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

/** An address as people write it. */
export function describe({ hostname, port, version }: SocketAddress): string {
  return version === 6 ? `[${hostname}]:${port}` : `${hostname}:${port}`;
}
