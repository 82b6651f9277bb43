/**
 * Overlapped operations: keeps their memory while the system uses it, and runs the one loop that receives their
 * completions. Sockets do not wait on separate threads: one call waits for all of them, and polls where calls need
 * the thread.
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

/**
 * The offsets of the parts of an operation's block. The system may write to all of them until the operation
 * completes.
 */
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
 * WSASYSCALLFAILURE: used for a failed call whose own error was lost. That error may have been ERROR_IO_PENDING.
 */
export const LOST_ERROR = 10107;

const BLOCKS_PER_SLAB = 64;
/** The most completions that one call returns. */
const ENTRIES = 64;
/**
 * How many operations in a row may end on this thread without waiting, before timers and other events are processed.
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
  /** A Win32 code; 0: success. */
  readonly code: number;
  /** The number of bytes transferred. */
  readonly bytes: number;
  /** Its block, which is not used again until the handler has returned. */
  readonly block: Block;
}

/** Memory that the system uses in addition to the block. */
export interface Kept {
  /** Its memory. */
  readonly bytes: Uint8Array;
  /** Called when the system no longer uses it; never where that is not known. */
  release?(): void;
}

interface Pending {
  readonly block: Block;
  /** Kept reachable until the operation has completed. */
  readonly kept: Kept | null;
  readonly untrack: () => void;
  settle(completion: Completion): void;
  fail(error: unknown): void;
}

/** The libraries that a completion port uses. */
export interface PortLibraries {
  /** kernel32.dll */
  readonly kernel: Library<typeof KERNEL32>;
  /** ntdll.dll */
  readonly ntdll: Library<typeof NTDLL>;
  /** Addresses. */
  readonly memory: Memory;
}

/** Operations whose completion a closed port never received: their memory is kept permanently. */
const abandoned = new Set<Pending>();

/** Codes of operations that have begun. */
const OF_BEGUN: readonly string[] = [
  "ERROR_MORE_DATA",
  "ERROR_OPERATION_ABORTED",
  "ERROR_IO_INCOMPLETE",
  "ERROR_IO_PENDING",
];

/**
 * Whether a code means that an operation did not begin. A code that Winsock's calls do not return may come from
 * another call that overwrote ERROR_IO_PENDING.
 */
function isRefusal(code: number): boolean {
  const known = WINSOCK_STATUS[code];
  return known !== undefined && code !== LOST_ERROR && !OF_BEGUN.includes(known.name);
}

/** One completion port and its loop, which runs only while an operation is pending. */
export class CompletionPort {
  readonly #libraries: PortLibraries;
  readonly #handle: bigint;
  readonly #untrack: () => void;
  readonly #free: Block[] = [];
  readonly #pending = new Map<bigint, Pending>();
  /**
   * Operations that may or may not have begun: their memory is kept, because the system may write to it, until their
   * completion arrives.
   */
  readonly #inDoubt = new Map<bigint, Pending>();
  readonly #entries = pinned(ENTRIES * OVERLAPPED_ENTRY.size);
  readonly #removed = pinned(8);
  #pump: Promise<void> | null = null;
  #inARow = 0;
  #closed = false;

  /** @throws TransportError where the port cannot be created. */
  constructor(libraries: PortLibraries) {
    this.#libraries = libraries;
    const { call } = libraries.kernel;
    this.#handle = call.CreateIoCompletionPort(INVALID_HANDLE_VALUE, 0n, 0n, 1);
    if (this.#handle === 0n) {
      throw socketError("CreateIoCompletionPort", call.GetLastError(), "create a completion port");
    }
    this.#untrack = track("completion port");
  }

  /** How many operations have not completed. */
  get pending(): number {
    return this.#pending.size;
  }

  /**
   * Associates `handle` with this port, which then receives the completions of its operations. Once for each handle.
   */
  associate(handle: bigint): void {
    const { call } = this.#libraries.kernel;
    if (call.CreateIoCompletionPort(handle, this.#handle, 0n, 0) === 0n) {
      throw socketError("CreateIoCompletionPort", call.GetLastError(), "make a socket");
    }
  }

  /**
   * Makes operations of `handle` that succeed immediately send no completion: `run` must then be given `direct`.
   *
   * @returns whether the system supports it for this handle.
   */
  skipCompletionOnSuccess(handle: bigint): boolean {
    const { call } = this.#libraries.kernel;
    return call.SetFileCompletionNotificationModes(handle, FILE_SKIP_COMPLETION_PORT_ON_SUCCESS) !== 0;
  }

  /**
   * Starts one operation.
   *
   * @param begin makes the call with the block's memory; the call writes its byte count to `BLOCK.bytes`. Returns 0
   * where the operation has succeeded already, `ERROR_IO_PENDING` where it has begun, the error where it did not
   * begin, or `LOST_ERROR` where that is not known.
   * @param direct whether an operation that has succeeded already sends no completion.
   * @param keep memory that the system uses in addition to the block; kept until the operation completes.
   * @param onStarted called with the block once the operation has begun, so that it can be cancelled.
   * @param read reads the result from the block, before the block is used again.
   * @returns the result of `read`. Where `begin` returned an error: rejects with the result of `refused`.
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
      // Registered before the call: the completion may arrive before the call has returned.
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

  /** Keeps the memory of an operation that may have begun. */
  #doubt(block: Block): void {
    const pending = this.#pending.get(block.address)!;
    this.#pending.delete(block.address);
    this.#inDoubt.set(block.address, pending);
  }

  /** Ends an operation that sends no completion; returns false where it must go through the port. */
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

  /** Asks the system to cancel an operation. The operation still completes, with its result or as aborted. */
  cancel(handle: bigint, block: Block): void {
    // An operation that has just completed is not found; this is not a failure.
    if (this.#pending.has(block.address)) this.#libraries.kernel.call.CancelIoEx(handle, block.address);
  }

  /** Closes the port; no operation may be pending. */
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
      // The system may still write to the memory of pending operations: it is kept permanently, and their callers get
      // the error.
      for (const pending of this.#pending.values()) pending.fail(error);
    } finally {
      this.#pump = null;
    }
  }

  /** Waits for a completion; 0: the system call failed. A packet without an operation wakes it. */
  readonly #wait: EndlessWait<number> = {
    block: () => this.#fetch(this.#libraries.kernel.threaded.GetQueuedCompletionStatusEx, INFINITE),
    wake: () => this.#libraries.kernel.call.PostQueuedCompletionStatus(this.#handle, 0, 0n, 0n) !== 0,
    // No completion, or an error: `block` reports which.
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

/** Releases the memory of an operation and returns its block for reuse; returns nothing for an unknown address. */
function free(operations: Map<bigint, Pending>, address: bigint): Block[] {
  const pending = operations.get(address);
  if (pending === undefined) return [];
  operations.delete(address);
  pending.kept?.release?.();
  pending.untrack();
  return [pending.block];
}
