/**
 * Overlapped operations: where their memory stands while the system uses it, and the one pump that learns of their
 * end. Sockets never wait on a thread of their own: one call waits for all of them, and on none where others need it.
 *
 * @module
 */

import { StateError } from "../../errors.ts";
import type { Library } from "../abi.ts";
import type { EndlessWait } from "../backends/semaphore.ts";
import { poolSemaphore } from "../backends/thread_pool.ts";
import { track } from "../handles.ts";
import { type Memory, pinned } from "../memory/memory.ts";
import {
  ERROR_IO_PENDING,
  FILE_SKIP_COMPLETION_PORT_ON_SUCCESS,
  INFINITE,
  INVALID_HANDLE_VALUE,
  type KERNEL32,
  OVERLAPPED,
  OVERLAPPED_ENTRY,
} from "../raw/kernel32.ts";
import type { NTDLL } from "../raw/ntdll.ts";
import { WINSOCK_STATUS } from "../raw/winsock_status.ts";
import { SOCKADDR_STORAGE, WSABUF } from "../raw/ws2_32.ts";
import { socketError } from "../status.ts";

/** Where the parts of an operation's block stand; the system may write to all of them until it completes. */
export const BLOCK = {
  overlapped: 0,
  buffers: OVERLAPPED.size,
  bytes: OVERLAPPED.size + WSABUF.size,
  flags: OVERLAPPED.size + WSABUF.size + 4,
  addressLength: OVERLAPPED.size + WSABUF.size + 8,
  address: 64,
  size: 64 + SOCKADDR_STORAGE.size,
} as const;

/**
 * WSASYSCALLFAILURE: what a call that failed is said to have failed with where its own error was lost. It may have been
 * ERROR_IO_PENDING.
 */
export const LOST_ERROR = 10107;

const BLOCKS_PER_SLAB = 64;
/** The most completions one call takes. */
const ENTRIES = 64;
/**
 * How often in a row operations end on this thread, at once or by a fetch that does not wait: then timers and other
 * events get their turn.
 */
const IN_A_ROW = 64;

/** The memory of one operation: `BLOCK.size` bytes that do not move. */
export interface Block {
  /** Its address. */
  readonly address: bigint;
  /** Its bytes. */
  readonly view: DataView;
}

/** How an operation ended. */
export interface Completion {
  /** A Win32 code; 0: well. */
  readonly code: number;
  /** Bytes moved. */
  readonly bytes: number;
  /** Its block, still unused by others until the handler has returned. */
  readonly block: Block;
}

/** What the system uses besides the block. */
export interface Kept {
  /** Its memory. */
  readonly bytes: Uint8Array;
  /** Called once the system is done with it; never where that cannot be known. */
  release?(): void;
}

interface Pending {
  readonly block: Block;
  /** Held so that the garbage collector leaves it where it is until the operation has completed. */
  readonly kept: Kept | null;
  readonly untrack: () => void;
  settle(completion: Completion): void;
  fail(error: unknown): void;
}

/** What a completion port works with. */
export interface PortLibraries {
  /** kernel32.dll */
  readonly kernel: Library<typeof KERNEL32>;
  /** ntdll.dll */
  readonly ntdll: Library<typeof NTDLL>;
  /** Addresses. */
  readonly memory: Memory;
}

/** What ports that are closed never learned the end of: it stays where it is for good. */
const abandoned = new Set<Pending>();

/** Codes that speak of an operation which has begun. */
const OF_BEGUN: readonly string[] = [
  "ERROR_MORE_DATA",
  "ERROR_OPERATION_ABORTED",
  "ERROR_IO_INCOMPLETE",
  "ERROR_IO_PENDING",
];

/**
 * Whether a code says that an operation did not begin. One that Winsock's calls do not give may be what another call
 * left where ERROR_IO_PENDING stood.
 */
function isRefusal(code: number): boolean {
  const known = WINSOCK_STATUS[code];
  return known !== undefined && code !== LOST_ERROR && !OF_BEGUN.includes(known.name);
}

/** One completion port and its pump, which runs only while an operation is pending. */
export class CompletionPort {
  readonly #libraries: PortLibraries;
  readonly #handle: bigint;
  readonly #untrack: () => void;
  readonly #free: Block[] = [];
  readonly #pending = new Map<bigint, Pending>();
  /**
   * Operations of which nobody knows whether they began: what they use stays where it is, in case that the system writes
   * there, and until it says that it is done.
   */
  readonly #inDoubt = new Map<bigint, Pending>();
  readonly #entries = pinned(ENTRIES * OVERLAPPED_ENTRY.size);
  readonly #removed = pinned(8);
  #pump: Promise<void> | null = null;
  #inARow = 0;
  #closed = false;

  /** @throws TransportError where the system gives no port. */
  constructor(libraries: PortLibraries) {
    this.#libraries = libraries;
    const { call } = libraries.kernel;
    this.#handle = call.CreateIoCompletionPort(INVALID_HANDLE_VALUE, 0n, 0n, 1);
    if (this.#handle === 0n) {
      throw socketError("CreateIoCompletionPort", call.GetLastError(), "make a completion port");
    }
    this.#untrack = track("completion port");
  }

  /** How many operations have not completed. */
  get pending(): number {
    return this.#pending.size;
  }

  /** Has the operations of `handle` complete here; once for each handle. */
  associate(handle: bigint): void {
    const { call } = this.#libraries.kernel;
    if (call.CreateIoCompletionPort(handle, this.#handle, 0n, 0) === 0n) {
      throw socketError("CreateIoCompletionPort", call.GetLastError(), "make a socket");
    }
  }

  /**
   * Has the operations of `handle` that end at once, and well, send no completion: `run` must then be told `direct`.
   *
   * @returns whether the system does.
   */
  skipAtOnce(handle: bigint): boolean {
    const { call } = this.#libraries.kernel;
    return call.SetFileCompletionNotificationModes(handle, FILE_SKIP_COMPLETION_PORT_ON_SUCCESS) !== 0;
  }

  /**
   * Starts one operation.
   *
   * @param begin makes the call with the block's memory, its count of bytes going to `BLOCK.bytes`; gives 0 where it
   * has ended well already, `ERROR_IO_PENDING` where it is under way, else the error by which it was not started, or
   * `LOST_ERROR` where that is not known.
   * @param direct whether one that has ended already sends no completion.
   * @param keep what the system uses besides the block; kept where it is until the operation completes.
   * @param onStarted told of the block while the operation is under way, so that it can be cancelled.
   * @param read takes out of the block what is needed, before the block is used again.
   * @returns what `read` gave. Where `begin` gave an error: rejects with what `refused` makes of it.
   */
  run<T>(operation: {
    readonly begin: (block: Block) => number;
    readonly direct: boolean;
    readonly refused: (code: number) => Error;
    readonly read: (completion: Completion) => T;
    readonly keep?: Kept;
    readonly onStarted?: (block: Block) => void;
  }): Promise<T> {
    if (this.#closed) {
      operation.keep?.release?.();
      return Promise.reject(new StateError("The completion port is closed"));
    }
    const block = this.#free.pop() ?? this.#moreBlocks();
    new Uint8Array(block.view.buffer, block.view.byteOffset, BLOCK.size).fill(0);
    return new Promise<T>((resolve, reject) => {
      // Known before the call: the completion may be there before the call has returned.
      this.#pending.set(block.address, {
        block,
        kept: operation.keep ?? null,
        untrack: track("operation"),
        settle(completion) {
          try {
            resolve(operation.read(completion));
          } catch (error) {
            reject(error);
          }
        },
        fail: reject,
      });
      try {
        const code = operation.begin(block);
        if (code !== 0 && code !== ERROR_IO_PENDING) {
          if (!isRefusal(code)) this.#doubt(block);
          throw operation.refused(code);
        }
        if (code === 0 && operation.direct && this.#endAtOnce(block)) return;
      } catch (error) {
        this.#release(block);
        return reject(error);
      }
      operation.onStarted?.(block);
      this.#pump ??= this.#run();
    });
  }

  /** Has the memory of an operation that may have begun outlive it. */
  #doubt(block: Block): void {
    const pending = this.#pending.get(block.address)!;
    this.#pending.delete(block.address);
    this.#inDoubt.set(block.address, pending);
  }

  /** Ends an operation that sends no completion; false where it has to wait for its turn like any other. */
  #endAtOnce(block: Block): boolean {
    const bytes = block.view.getUint32(BLOCK.bytes, true);
    if (this.#inARow < IN_A_ROW) {
      this.#inARow++;
      this.#pending.get(block.address)!.settle({ code: 0, bytes, block });
      this.#release(block);
      return true;
    }
    const { call } = this.#libraries.kernel;
    if (call.PostQueuedCompletionStatus(this.#handle, bytes, 0n, block.address) !== 0) return false;
    throw socketError("PostQueuedCompletionStatus", call.GetLastError(), "wait for a socket");
  }

  /** Asks the system to end an operation; it completes all the same, with its result or as aborted. */
  cancel(handle: bigint, block: Block): void {
    // An operation that has just completed is not found, which is no failure.
    if (this.#pending.has(block.address)) this.#libraries.kernel.call.CancelIoEx(handle, block.address);
  }

  /** Closes it; nothing may be pending. */
  close(): void {
    if (this.#pending.size > 0) {
      throw new StateError("A completion port was closed while operations are pending");
    }
    this.#closed = true;
    for (const each of this.#inDoubt.values()) abandoned.add(each);
    this.#libraries.kernel.call.CloseHandle(this.#handle);
    this.#untrack();
  }

  async #run(): Promise<void> {
    const { call } = this.#libraries.kernel;
    try {
      while (this.#pending.size > 0) {
        let ok = 0;
        if (this.#inARow++ < IN_A_ROW) ok = this.#fetch(call.GetQueuedCompletionStatusEx, 0) as number;
        if (ok === 0) {
          this.#inARow = 0;
          ok = await poolSemaphore().wait(this.#wait);
        }
        if (ok === 0) throw socketError("GetQueuedCompletionStatusEx", 0, "wait for the sockets");
        this.#dispatch(new DataView(this.#removed.buffer).getUint32(0, true));
        await null;
      }
    } catch (error) {
      // The system may still write to what is pending: it stays where it is for good, and nobody waits for it.
      for (const pending of this.#pending.values()) pending.fail(error);
    } finally {
      this.#pump = null;
    }
  }

  /** Waiting for a completion; 0: the system cannot. A packet without an operation wakes it. */
  readonly #wait: EndlessWait<number> = {
    block: () => this.#fetch(this.#libraries.kernel.threaded.GetQueuedCompletionStatusEx, INFINITE),
    wake: () => this.#libraries.kernel.call.PostQueuedCompletionStatus(this.#handle, 0, 0n, 0n) !== 0,
    // Nothing there, or an error: `block` tells which.
    poll: () => this.#fetch(this.#libraries.kernel.call.GetQueuedCompletionStatusEx, 0) || null,
  };

  #fetch<R>(
    get: (port: bigint, entries: Uint8Array, count: number, removed: Uint8Array, ms: number, a: number) => R,
    ms: number,
  ): R {
    return get(this.#handle, this.#entries, ENTRIES, this.#removed, ms, 0);
  }

  #dispatch(count: number): void {
    const entries = new DataView(this.#entries.buffer);
    for (let index = 0; index < count; index++) {
      const entry = OVERLAPPED_ENTRY.read(entries, index * OVERLAPPED_ENTRY.size);
      const pending = this.#pending.get(entry.lpOverlapped);
      if (pending === undefined) {
        this.#free.push(...free(this.#inDoubt, entry.lpOverlapped));
        continue;
      }
      const { block } = pending;
      const status = Number(block.view.getBigUint64(BLOCK.overlapped, true) & 0xffff_ffffn);
      const code = status === 0 ? 0 : this.#libraries.ntdll.call.RtlNtStatusToDosError(status);
      pending.settle({ code, bytes: entry.dwNumberOfBytesTransferred, block });
      this.#release(block);
    }
  }

  #release(block: Block): void {
    this.#free.push(...free(this.#pending, block.address));
  }

  #moreBlocks(): Block {
    const slab = pinned(BLOCKS_PER_SLAB * BLOCK.size);
    const base = this.#libraries.memory.addressOf(slab);
    for (let index = 0; index < BLOCKS_PER_SLAB; index++) {
      this.#free.push({
        address: base + BigInt(index * BLOCK.size),
        view: new DataView(slab.buffer, index * BLOCK.size, BLOCK.size),
      });
    }
    return this.#free.pop()!;
  }
}

/** Gives back what an operation used, and its block for the next; nothing where it is none of these. */
function free(operations: Map<bigint, Pending>, address: bigint): Block[] {
  const pending = operations.get(address);
  if (pending === undefined) return [];
  operations.delete(address);
  pending.kept?.release?.();
  pending.untrack();
  return [pending.block];
}
