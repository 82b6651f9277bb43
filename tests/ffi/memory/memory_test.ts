import { assert, assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import process from "node:process";
import type { Calls, LibrarySpec } from "../../../ffi/abi.ts";
import {
  cString,
  type Memory,
  MEMORY_FNS,
  memoryOf,
  pinned,
  wideString,
} from "../../../ffi/memory/memory.ts";
import { childOutcome, children } from "../../support/child.ts";
import { compile, noCompiler, runtimeBackend } from "../../support/native.ts";

/** A readable page, followed by one without access. */
const SOURCE = `
#define _GNU_SOURCE
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>
size_t guarded_page(void) {
  char *p = mmap(0, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (p == MAP_FAILED || mprotect(p + 4096, 4096, PROT_NONE) != 0) return 0;
  return (size_t)p;
}
void release_page(size_t page) { munmap((void *)page, 8192); }
`;

const SPEC = {
  name: "fixture",
  instead: "Compile it",
  files: {},
  fns: {
    ...MEMORY_FNS,
    guarded_page: { params: [], result: "usize" },
    release_page: { params: [["page", "usize"]], result: "void" },
  },
} as const satisfies LibrarySpec;

/** Runs `body` with 4096 bytes of memory, behind which a read ends the process. */
async function withPage(
  body: (memory: Memory, page: bigint, call: Calls<typeof SPEC>) => unknown,
): Promise<void> {
  using file = await compile(SOURCE, ["-shared"]);
  const library = runtimeBackend().open(file.path, SPEC);
  const page = library.call.guarded_page();
  try {
    assert(page !== 0n);
    await body(memoryOf(library.call), page, library.call);
  } finally {
    library.call.release_page(page);
    library.close();
  }
}

/** How many of many small arrays have moved during a garbage collection after their address was read. */
async function movedArrays(): Promise<{ moved: number; lost: number }> {
  const gc = (globalThis as unknown as { gc(options?: unknown): void }).gc;
  let [moved, lost] = [0, 0];
  await withPage((memory) => {
    const once = (collect: boolean): void => {
      const small = new Uint8Array(1 + moved % 60);
      const before = memory.addressOf(small);
      if (collect) gc({ type: "minor" });
      memory.write(before, Uint8Array.of(7));
      if (memory.addressOf(small) !== before) moved++;
      if (small[0] !== 7) lost++;
    };
    // Optimised first: an optimised call could pass the array differently.
    for (let round = 0; round < 100_000; round++) once(false);
    for (let round = 0; round < 200; round++) once(true);
  });
  return { moved, lost };
}

await children({ movedArrays });

const skip = noCompiler();

test("write() and read() transfer bytes unchanged", () =>
  withPage((memory, page) => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(3700), (bytes, at) => {
      const address = page + BigInt(at);
      memory.write(address, bytes);
      assertEquals(Array.from(memory.read(address, bytes.length)), Array.from(bytes));
      const into = new Uint8Array(bytes.length + 2).fill(9);
      memory.readInto(address, into.subarray(1, bytes.length + 1));
      assertEquals(Array.from(into), [9, ...bytes, 9]);
    }));
  }), { skip });

test(
  "addressOf() returns the address of a buffer's first byte, also for a view into other memory",
  () =>
    withPage((memory) => {
      const whole = Uint8Array.from({ length: 200 }, (_, index) => index);
      assertEquals(memory.addressOf(whole.subarray(50)) - memory.addressOf(whole), 50n);
      assertEquals(Array.from(memory.read(memory.addressOf(whole.subarray(50)), 3)), [50, 51, 52]);
    }),
  { skip },
);

test("addressOf() keeps a small array at its address", async () => {
  const flags = process.versions.deno ? ["-A", "--v8-flags=--expose-gc"] : ["--expose-gc"];
  assertEquals(await childOutcome(import.meta.url, "movedArrays", { flags }), { moved: 0, lost: 0 });
}, { skip });

test(
  "read() and write() throw a RangeError for address 0, except for 0 bytes",
  () =>
    withPage((memory) => {
      assertThrows(() => memory.read(0n, 1), RangeError, "address 0");
      assertThrows(() => memory.readInto(0n, new Uint8Array(4)), RangeError, "address 0");
      assertThrows(() => memory.write(0n, new Uint8Array(4)), RangeError, "address 0");
      assertEquals(memory.read(0n, 0).length, 0);
      memory.write(0n, new Uint8Array(0));
      assertEquals([memory.cString(0n), memory.wideString(0n)], ["", ""]);
    }),
  { skip },
);

test("cString() and wideString() return what was written, up to the last readable byte", () => {
  const text = fc.string({ unit: "binary", maxLength: 200 }).map((value) => value.replaceAll("\0", "\ufeff"));
  return withPage((memory, page) => {
    fc.assert(fc.property(text, fc.nat(3), (value, spare) => {
      const narrow = cString(value);
      const wide = wideString(value);
      const end = page + 4096n - BigInt(spare * 2);
      memory.write(end - BigInt(narrow.length), narrow);
      assertEquals(memory.cString(end - BigInt(narrow.length)), value.toWellFormed());
      memory.write(end - BigInt(wide.length), wide);
      assertEquals(memory.wideString(end - BigInt(wide.length)), value);
    }));
  });
}, { skip });

test("pinned() returns a zeroed buffer with its own memory", () => {
  const [one, two] = [pinned(8), pinned(8)];
  assertEquals(Array.from(one), Array(8).fill(0));
  assert(one.buffer !== two.buffer && one.buffer.byteLength === 8);
});
