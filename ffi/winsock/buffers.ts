/**
 * Buffers for what sockets send and receive, used again: making and clearing 64 KiB for each operation costs as much
 * as moving them.
 *
 * @module
 */

import type { Kept } from "./completion_port.ts";
import { type Memory, pinned } from "../memory/memory.ts";

/** The most bytes one operation moves. */
export const MAX_CHUNK = 65536;
/** The least a buffer has; each next size is twice as much, so that one that waits holds little it does not need. */
const LEAST = 1024;
/** The most bytes that are kept for operations to come. */
const MAX_KEPT = 2 << 20;

/** A buffer lent to one operation. */
export interface PooledBuffer extends Kept {
  /** As many bytes as were asked for, all of them 0. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** Where they stand. */
  readonly address: bigint;
  /** How many of them, from the first on, were written to; all, until whoever knows better says less. */
  used: number;
  /** Gives it back, cleared as far as it was used: nothing may use it any more. */
  release(): void;
}

interface Room {
  readonly buffer: Uint8Array<ArrayBuffer>;
  readonly address: bigint;
}

/** Buffers of one system, which are all zeros whenever nobody uses them. */
export class BufferPool {
  readonly #memory: Memory;
  /** By size. */
  readonly #free = new Map<number, Room[]>();
  #kept = 0;

  constructor(memory: Memory) {
    this.#memory = memory;
  }

  /** A buffer of `length` bytes; one that is longer than `MAX_CHUNK` is not kept. */
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
