/**
 * Buffers for what sockets send and receive, used again: making and clearing 64 KiB for each operation costs as much
 * as moving them.
 *
 * @module
 */

import type { Kept } from "./completion_port.ts";
import { type Memory, pinned } from "./memory.ts";

/** The most bytes one operation moves. */
export const MAX_CHUNK = 65536;
/** Sizes of buffers, and how many of each are kept for the next operation: 2 MiB at most. */
const CLASSES = [{ size: 2048, most: 128 }, { size: MAX_CHUNK, most: 28 }] as const;

/** A buffer lent to one operation. */
export interface PooledBuffer extends Kept {
  /** As many bytes as were asked for, all of them 0. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where they stand. */
  readonly address: bigint;
  /** Gives it back, cleared: nothing may use it any more. */
  release(): void;
}

interface Room {
  readonly buffer: Uint8Array<ArrayBuffer>;
  readonly address: bigint;
}

/** Buffers of one system, which are all zeros whenever nobody uses them. */
export class BufferPool {
  readonly #memory: Memory;
  readonly #free: Room[][] = CLASSES.map(() => []);

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  /** A buffer of `length` bytes; one that is longer than `MAX_CHUNK` is not kept. */
  take(length: number): PooledBuffer {
    const index = CLASSES.findIndex(({ size }) => length <= size);
    const { size, most } = CLASSES[index] ?? { size: length, most: 0 };
    const free = this.#free[index] ?? [];
    const room = free.pop() ?? this.#make(size);
    const bytes = room.buffer.subarray(0, length);
    return {
      bytes,
      address: room.address,
      release() {
        bytes.fill(0);
        if (free.length < most) free.push(room);
      },
    };
  }

  #make(size: number): Room {
    const buffer = pinned(size);
    return { buffer, address: this.#memory.addressOf(buffer) };
  }
}
