import { assert, assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { MemoryBlock } from "../../../ffi/memory/block.ts";
import type { Memory } from "../../../ffi/memory/memory.ts";
import { FakeMemory } from "../../support/fake_secur32.ts";

const sizes = fc.array(fc.nat(40), { maxLength: 8 });

test("take() returns zeroed, aligned parts that do not overlap, with their addresses", () => {
  fc.assert(fc.property(sizes, (sizes) => {
    const memory = new FakeMemory();
    const block = new MemoryBlock(memory as unknown as Memory, sizes);
    const places = sizes.map((size) => block.take(size));
    places.forEach(({ bytes, address }, index) => {
      assertEquals([bytes.length, address % 8n], [sizes[index], 0n]);
      assertEquals(bytes.every((byte) => byte === 0), true, "an earlier part was written over");
      bytes.fill(index + 1);
      assertEquals(memory.read(address, bytes.length), bytes);
    });
    places.forEach(({ bytes }, index) => assert(bytes.every((byte) => byte === index + 1)));
  }));
});

test("MemoryBlock reads its address once, however many parts it has", () => {
  let asked = 0;
  const memory = { addressOf: () => (asked++, 4096n) } as unknown as Memory;
  const block = new MemoryBlock(memory, [1, 2, 3]);
  assertEquals([1, 2, 3].map((size) => block.take(size).address), [4096n, 4104n, 4112n]);
  assertEquals(asked, 1);
});

test("take() refuses more memory than the block has", () => {
  const block = new MemoryBlock(new FakeMemory() as unknown as Memory, [8, 8]);
  block.take(8);
  assertThrows(() => block.take(9), RangeError, "no space for 9");
  block.take(8);
  assertThrows(() => block.take(1), RangeError, "no space");
});
