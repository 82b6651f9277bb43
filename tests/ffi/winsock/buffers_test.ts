import { assert, assertEquals } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { BufferPool, MAX_CHUNK, type PooledBuffer } from "../../../ffi/winsock/buffers.ts";
import type { Memory } from "../../../ffi/memory/memory.ts";

/** Memory with invented addresses, one range for each buffer; counts the calls. */
class Addresses {
  asked = 0;
  readonly #bases = new Map<ArrayBufferLike, bigint>();

  addressOf(bytes: Uint8Array): bigint {
    this.asked++;
    const base = this.#bases.get(bytes.buffer) ?? BigInt(this.#bases.size + 1) << 20n;
    this.#bases.set(bytes.buffer, base);
    return base + BigInt(bytes.byteOffset);
  }
}

function pool(): { buffers: BufferPool; memory: Addresses } {
  const memory = new Addresses();
  return { buffers: new BufferPool(memory as unknown as Memory), memory };
}

test("take() returns a zeroed buffer of the requested length, with its address", () => {
  const { buffers, memory } = pool();
  fc.assert(fc.property(fc.nat(MAX_CHUNK + 1000), (length) => {
    const buffer = buffers.take(length);
    assertEquals(buffer.bytes.length, length);
    assertEquals(buffer.address, memory.addressOf(buffer.bytes));
    assert(buffer.bytes.every((byte) => byte === 0));
    buffer.bytes.fill(7);
    buffer.release();
  }));
});

test("release() clears the data of a buffer", () => {
  const { buffers } = pool();
  const first = buffers.take(1000);
  first.bytes.fill(7);
  first.release();
  assert(first.bytes.every((byte) => byte === 0));
  const second = buffers.take(1024);
  assertEquals(second.bytes.buffer, first.bytes.buffer, "the memory is used again");
  assert(second.bytes.every((byte) => byte === 0));
});

test("release() clears the used part of a buffer, and all of it where `used` is not set", () => {
  const { buffers } = pool();
  for (const used of [undefined, 0, 10, 1000]) {
    const buffer = buffers.take(1000);
    assertEquals(buffer.used, 1000);
    buffer.bytes.fill(7, 0, used ?? 1000);
    if (used !== undefined) buffer.used = used;
    buffer.release();
    assert(buffer.bytes.every((byte) => byte === 0), `${used} bytes`);
  }
});

test("take() never returns memory that is in use", () => {
  fc.assert(fc.property(fc.array(fc.tuple(fc.nat(MAX_CHUNK), fc.boolean()), { maxLength: 60 }), (steps) => {
    const { buffers } = pool();
    const lent: PooledBuffer[] = [];
    for (const [length, giveBack] of steps) {
      if (giveBack) lent.shift()?.release();
      else lent.push(buffers.take(length));
      assertEquals(new Set(lent.map(({ bytes }) => bytes.buffer)).size, lent.length);
    }
  }));
});

test("take() returns less than twice the requested memory", () => {
  const { buffers } = pool();
  fc.assert(fc.property(fc.integer({ min: 1024, max: MAX_CHUNK }), (length) => {
    assert(buffers.take(length).bytes.buffer.byteLength < 2 * length);
  }));
});

test("take() reads the address of a reused buffer once", () => {
  const { buffers, memory } = pool();
  for (let round = 0; round < 100; round++) buffers.take(MAX_CHUNK).release();
  assertEquals(memory.asked, 1);
});

test("release() keeps a limited number of buffers, and none longer than MAX_CHUNK", () => {
  const { buffers, memory } = pool();
  const many = Array.from({ length: 1000 }, () => buffers.take(MAX_CHUNK));
  for (const buffer of many) buffer.release();
  const before = memory.asked;
  const again = Array.from({ length: 1000 }, () => buffers.take(MAX_CHUNK));
  const kept = 1000 - (memory.asked - before);
  assert(kept > 0 && kept * MAX_CHUNK <= 2 << 20, `${kept} were kept`);
  for (const buffer of again) buffer.release();
  const long = buffers.take(MAX_CHUNK + 1);
  long.release();
  assert(buffers.take(MAX_CHUNK + 1).bytes.buffer !== long.bytes.buffer);
});
