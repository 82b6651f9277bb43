/**
 * A pool of buffers for sending and receiving: allocating and clearing 64 KiB for each operation costs as much as
 * transferring them.
 *
 * @module
 */

import type { Kept } from "./completion_port.ts";
import { type Memory, pinned } from "../memory/memory.ts";

/** The most bytes that one operation transfers. */
export const MAX_CHUNK = 65536;
/**
 * The smallest buffer size in bytes. Each next size is twice as large, so that a pending operation keeps little
 * unused memory.
 */
const LEAST = 1024;
/** The most bytes that are kept for later operations. */
const MAX_KEPT = 2 << 20;

/** A buffer that one operation uses. */
export interface PooledBuffer extends Kept {
  /** The bytes, as many as were requested, all 0. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Their address. */
  readonly address: bigint;
  /** How many bytes from the start were written to. Initially all; the user of the buffer may set less. */
  used: number;
  /** Clears the used part and returns the buffer to the pool; it must not be used any more. */
  release(): void;
}

interface Room {
  readonly buffer: Uint8Array<ArrayBuffer>;
  readonly address: bigint;
}

/** The buffer pool of one system. Unused buffers are all zeros. */
export class BufferPool {
  readonly #memory: Memory;
  /** Unused buffers by size. */
  readonly #free = new Map<number, Room[]>();
  #kept = 0;

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  /** Takes a buffer of `length` bytes; one longer than `MAX_CHUNK` is not kept after use. */
  take(length: number): PooledBuffer {
    const size = length > MAX_CHUNK ? length : sizeFor(length);
    const room = this.#reuse(size) ?? this.#make(size);
    const bytes = room.buffer.subarray(0, length);
    const lent: PooledBuffer = {
      bytes,
      address: room.address,
      used: length,
      release: () => {
        bytes.fill(0, 0, lent.used);
        this.#keep(room);
      },
    };
    return lent;
  }

  #reuse(size: number): Room | undefined {
    const room = this.#free.get(size)?.pop();
    if (room !== undefined) this.#kept -= size;
    return room;
  }

  #make(size: number): Room {
    const buffer = pinned(size);
    return { buffer, address: this.#memory.addressOf(buffer) };
  }

  #keep(room: Room): void {
    const size = room.buffer.length;
    if (size > MAX_CHUNK || this.#kept + size > MAX_KEPT) return;
    const free = this.#free.get(size);
    if (free === undefined) this.#free.set(size, [room]);
    else free.push(room);
    this.#kept += size;
  }
}

function sizeFor(length: number): number {
  let size = LEAST;
  while (size < length) size *= 2;
  return size;
}
