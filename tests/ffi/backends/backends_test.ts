/** The backend of this runtime, with a native library compiled for this test. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { test } from "@test";
import { readFile } from "node:fs/promises";
import process from "node:process";
import { UnsupportedPlatformError } from "../../../errors.ts";
import type { Library, LibrarySpec } from "../../../ffi/abi.ts";
import { type ExitFunctions, limitExit } from "../../../ffi/backends/exit_limit.ts";
import { holding, poolSemaphore, poolThreads } from "../../../ffi/backends/thread_pool.ts";
import { memoryOf, pinned } from "../../../ffi/memory/memory.ts";
import { MEMORY_FNS } from "../../../ffi/memory/memory.ts";
import { struct } from "../../../ffi/memory/struct.ts";
import { SIGEVENT_FIELDS } from "../../../ffi/raw/signal.ts";
import { StructBuilder } from "../../../ffi/security/gss/structs.ts";
import { childOutcome, children, runChild } from "../../support/child.ts";
import { compile, noCompiler, runtimeBackend } from "../../support/native.ts";

const SOURCE = `
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
uint8_t echo_u8(uint8_t v) { return v; }
int32_t echo_i32(int32_t v) { return v; }
uint32_t echo_u32(uint32_t v) { return v; }
int64_t echo_i64(int64_t v) { return v; }
uint64_t echo_u64(uint64_t v) { return v; }
size_t echo_usize(size_t v) { return v; }
void nothing(void) {}
uint32_t sum(const uint8_t *p, uint32_t n) { uint32_t s = 0; if (!p) return 77; while (n--) s += *p++; return s; }
static volatile int released, inside;
int32_t count_inside(void) { return inside; }
void release(int32_t n) { __sync_fetch_and_add(&released, n); }
/* Waits until it is released, then sums what a gss_buffer_desc points to. */
struct desc { size_t length; const uint8_t *value; };
uint32_t sum_later(const struct desc *d) {
  __sync_fetch_and_add(&inside, 1);
  for (;;) {
    int n = released;
    if (n > 0 && __sync_bool_compare_and_swap(&released, n, n - 1)) break;
    usleep(500);
  }
  uint32_t s = 0;
  for (size_t i = 0; i < d->length; i++) s += d->value[i];
  return s;
}
uint32_t deep(uint32_t bytes) { volatile uint8_t room[bytes]; memset((void *)room, 1, bytes); return room[bytes / 2]; }
static volatile int events[64];
int32_t take_event(uint32_t i) {
  int n = events[i];
  return n > 0 && __sync_bool_compare_and_swap(&events[i], n, n - 1);
}
int32_t wait_event(uint32_t i) { while (!take_event(i)) usleep(500); return 1; }
void set_event(uint32_t i) { __sync_fetch_and_add(&events[i], 1); }
uint64_t wide_later(uint64_t v) { usleep(1000); return v; }
`;

const SPEC = {
  name: "fixture",
  instead: "Compile it",
  files: {},
  fns: {
    ...MEMORY_FNS,
    echo_u8: { params: [["v", "u8"]], result: "u8" },
    echo_i32: { params: [["v", "i32"]], result: "i32" },
    echo_u32: { params: [["v", "u32"]], result: "u32" },
    echo_i64: { params: [["v", "i64"]], result: "i64" },
    echo_u64: { params: [["v", "u64"]], result: "u64" },
    echo_usize: { params: [["v", "usize"]], result: "usize" },
    nothing: { params: [], result: "void" },
    sum: { params: [["p", "buf"], ["n", "u32"]], result: "u32" },
    count_inside: { params: [], result: "i32" },
    release: { params: [["n", "i32"]], result: "void" },
    sum_later: { params: [["desc", "buf"]], result: "u32", threaded: true },
    deep: { params: [["bytes", "u32"]], result: "u32", threaded: true },
    take_event: { params: [["i", "u32"]], result: "i32" },
    wait_event: { params: [["i", "u32"]], result: "i32", threaded: "endless" },
    set_event: { params: [["i", "u32"]], result: "void" },
    wide_later: { params: [["v", "u64"]], result: "u64", threaded: true },
    renamed: { symbol: "echo_u8", params: [["v", "u8"]], result: "u8" },
    absent: { symbol: "not_there", params: [], result: "u32", optional: true, threaded: true },
  },
} as const satisfies LibrarySpec;

async function withFixture(body: (library: Library<typeof SPEC>) => unknown): Promise<void> {
  using file = await compile(SOURCE, ["-shared"]);
  const library = runtimeBackend().open(file.path, SPEC);
  try {
    await body(library);
  } finally {
    library.close();
  }
}

/** Sums of buffers that are reachable only through a struct's address, while the garbage collector runs. */
async function sumsUnderCollection(): Promise<number[]> {
  const gc = (globalThis as unknown as { gc(): void }).gc;
  const sums: number[] = [];
  await withFixture(async (library) => {
    const start = (value: number): Promise<number> => {
      const data = pinned(4096);
      data.fill(value);
      return library.threaded.sum_later(new StructBuilder(memoryOf(library.call), undefined).buffer(data));
    };
    const pending = Array.from({ length: 32 }, (_, index) => start(index));
    for (let round = 0; round < 20; round++) {
      gc();
      Array.from({ length: 200 }, () => new Uint8Array(4096).fill(0xff));
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    library.call.release(pending.length);
    sums.push(...await Promise.all(pending));
  });
  return sums;
}

/** How many calls run at a time where there are more calls than threads; the others run afterwards. */
async function callsAtATime(): Promise<{ first: number; all: number }> {
  const counts = { first: 0, all: 0 };
  await withFixture(async ({ call, threaded }) => {
    const struct = new StructBuilder(memoryOf(call), undefined).buffer(Uint8Array.of(1, 2));
    const waiting = Array.from({ length: 64 }, () => threaded.sum_later(struct));
    const expected = Number(process.argv.at(-1));
    while (call.count_inside() < expected) await new Promise((resolve) => setTimeout(resolve, 1));
    for (let turn = 0; turn < 20; turn++) await readFile("/dev/null");
    counts.first = call.count_inside();
    call.release(waiting.length);
    await Promise.all(waiting);
    counts.all = call.count_inside();
  });
  return counts;
}

/** The results of calls and file reads while there are more waits than threads; then each wait ends. */
async function waitsAndCalls(): Promise<{ calls: string[]; files: number; ended: number }> {
  const outcome = { calls: [] as string[], files: 0, ended: 0 };
  await withFixture(async ({ call, threaded }) => {
    const over = new Set<number>();
    const pumps = Array.from({ length: 40 }, async (_, index) => {
      while (!over.has(index)) {
        await poolSemaphore().wait({
          block: () => threaded.wait_event(index),
          wake: () => (call.set_event(index), true),
          poll: () => call.take_event(index) === 0 ? null : 1,
        });
      }
      outcome.ended++;
    });
    for (let round = 0n; round < 5n; round++) {
      outcome.calls.push(String(await threaded.wide_later(round)));
      outcome.files += (await readFile("/dev/null")).length + 1;
    }
    for (const index of pumps.keys()) {
      over.add(index);
      call.set_event(index);
    }
    await Promise.all(pumps);
  });
  return outcome;
}

/** Ends the process in one of two ways while a call on another thread never ends. */
async function endsInCall(): Promise<void> {
  const file = await compile(SOURCE, ["-shared"]);
  const { call, threaded } = runtimeBackend().open(file.path, SPEC);
  file[Symbol.dispose]();
  threaded.sum_later(new StructBuilder(memoryOf(call), undefined).buffer(Uint8Array.of(1, 2)));
  while (call.count_inside() === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  process.on("exit", (code) => console.log(`exit listener: ${code}`));
  if (process.argv.at(-1) === "exit") process.exit(7);
  setTimeout(() => {
    throw new Error("uncaught on purpose");
  });
  await new Promise(() => {});
}

await children({ sumsUnderCollection, callsAtATime, waitsAndCalls, endsInCall });

const skip = noCompiler();
const GC_FLAGS = process.versions.deno ? ["-A", "--v8-flags=--expose-gc"] : ["--expose-gc"];

test(
  "call passes the extremes of every type and returns them, as a bigint where the type has 64 bits",
  () =>
    withFixture(({ call }) => {
      assertEquals([call.echo_u8(0), call.echo_u8(255)], [0, 255]);
      assertEquals([call.echo_i32(-0x8000_0000), call.echo_i32(0x7fff_ffff)], [-0x8000_0000, 0x7fff_ffff]);
      assertEquals([call.echo_u32(0), call.echo_u32(0xffff_ffff)], [0, 0xffff_ffff]);
      const [low, high] = [-(1n << 63n), (1n << 63n) - 1n];
      assertEquals([call.echo_i64(low), call.echo_i64(-1n), call.echo_i64(high)], [low, -1n, high]);
      const most = (1n << 64n) - 1n;
      for (const echo of [call.echo_u64, call.echo_usize]) {
        assertEquals([echo(0n), echo(1n), echo(1n << 53n), echo(most)], [0n, 1n, 1n << 53n, most]);
      }
      assertEquals(call.nothing(), undefined);
      assertEquals(call.renamed(9), 9);
    }),
  { skip },
);

test("call returns the same types after it was optimised", () =>
  withFixture(({ call }) => {
    const types = new Set<string>();
    for (let index = 0; index < 100_000; index++) {
      types.add(
        `${typeof call.echo_usize(BigInt(index))} ${typeof call.echo_u32(0xffff_ff00 + (index & 0xff))}`,
      );
      if (call.echo_u32(0xffff_ff00) !== 0xffff_ff00) throw new Error(`wrong in round ${index}`);
    }
    assertEquals([...types], ["bigint number"]);
  }), { skip });

test("call passes a buffer by its first byte, and null as a null pointer", () =>
  withFixture(({ call }) => {
    const bytes = Uint8Array.from({ length: 300 }, (_, index) => index & 0xff);
    assertEquals(call.sum(bytes.subarray(10, 13), 3), 10 + 11 + 12);
    assertEquals(call.sum(new Uint8Array([1, 2, 3]), 3), 6);
    assertEquals(call.sum(null, 0), 77);
  }), { skip });

test("threaded keeps its arguments from the garbage collector until the call has ended", async () => {
  const sums = await childOutcome<number[]>(import.meta.url, "sumsUnderCollection", { flags: GC_FLAGS });
  assertEquals(sums, Array.from({ length: 32 }, (_, index) => index * 4096));
}, { skip });

test(
  "threaded calls that wait do not block the runtime's own files",
  () =>
    withFixture(async ({ call, threaded }) => {
      const struct = new StructBuilder(memoryOf(call), undefined).buffer(Uint8Array.of(1, 2));
      const waiting = Array.from({ length: 64 }, () => threaded.sum_later(struct));
      let guard: ReturnType<typeof setTimeout> | undefined;
      const stuck = new Promise<string>((resolve) => guard = setTimeout(resolve, 20_000, "stuck"));
      const read = readFile("/dev/null", "utf8");
      const first = await Promise.race([read, stuck]);
      clearTimeout(guard);
      call.release(waiting.length);
      assertEquals(await Promise.all(waiting), waiting.map(() => 3));
      await read;
      assertEquals(first, "");
    }),
  { skip },
);

/** The size of the pool: UV_THREADPOOL_SIZE on Node; 32 threads on Deno, except on Windows. */
const AT_A_TIME: readonly [env: Record<string, string>, expected: number][] = process.versions.deno
  ? [[{}, 31]]
  : [[{}, 3], [{ UV_THREADPOOL_SIZE: "2" }, 1], [{ UV_THREADPOOL_SIZE: "9" }, 8]];

test(
  "threaded runs as many calls as the pool has threads, except one, and then the others",
  async () => {
    for (const [env, expected] of AT_A_TIME) {
      const flags = process.versions.deno ? ["-A"] : [];
      const options = { env, flags, args: [String(expected)] };
      assertEquals(await childOutcome(import.meta.url, "callsAtATime", options), {
        first: expected,
        all: 64,
      });
    }
  },
  { skip: skip ?? (process.platform === "win32" ? "the pool of Windows depends on its processors" : null) },
);

test("forty endless waits on the pool's threads block neither calls nor files", async () => {
  for (const size of process.versions.deno ? [undefined] : ["1", "2", undefined]) {
    const env = size === undefined ? {} : { UV_THREADPOOL_SIZE: size };
    const flags = process.versions.deno ? ["-A"] : [];
    assertEquals(await childOutcome(import.meta.url, "waitsAndCalls", { env, flags }), {
      calls: ["0", "1", "2", "3", "4"],
      files: 5,
      ended: 40,
    });
  }
}, { skip });

test(
  "a process exits with its own code after every exit listener, although a threaded call never ends",
  async () => {
    // Deno unloads the fixture at an uncaught error, under the call that runs in it.
    const ways: [string, number][] = process.versions.deno ? [["exit", 7]] : [["exit", 7], ["uncaught", 1]];
    for (const [how, expected] of ways) {
      const flags = process.versions.deno ? ["-A"] : [];
      const options = { flags, args: [how], timeoutMs: 30_000 };
      const { code, stdout } = await runChild(import.meta.url, "endsInCall", options);
      assertEquals([code, stdout.trim()], [expected, `exit listener: ${expected}`]);
    }
  },
  {
    skip: skip ??
      (process.platform === "darwin" && !process.versions.deno
        ? "macOS has no timer_create: Node waits"
        : null),
  },
);

test("limitExit() sets no timer where no call runs, or where a function is missing", async () => {
  let exit = (_code: number) => {};
  const calls: string[] = [];
  let timer: Uint8Array | null = null;
  let functions: ExitFunctions = { dlsym: null, timer_create: null, timer_settime: null };
  const given: ExitFunctions = {
    dlsym: (_handle, name) => (calls.push(new TextDecoder().decode(name as Uint8Array)), 0x1234),
    timer_create: (_clock, event) => (timer = event as Uint8Array, calls.push("create"), 0),
    timer_settime: () => (calls.push("set"), 0),
  };
  limitExit({ on: (_event, listener) => exit = listener }, () => functions);
  functions = given;
  exit(0);
  assertEquals(calls, []);
  await holding([], () => {
    exit(300);
    assertEquals(calls.splice(0), ["_exit\0", "create", "set"]);
    const { sigev_value, sigev_notify, sigev_notify_function } = struct("sigevent", SIGEVENT_FIELDS)
      .read(new DataView(timer!.buffer));
    assertEquals([sigev_value, sigev_notify, sigev_notify_function], [300n, 2, 0x1234n]);
    exit(-1);
    assertEquals(new DataView(timer!.buffer).getBigInt64(0, true), -1n);
    calls.length = 0;
    for (const name of Object.keys(given)) {
      functions = { ...given, [name]: null };
      exit(0);
    }
    assertEquals(calls, [], "older systems lack them");
    functions = { ...given, dlsym: () => 0 };
    exit(0);
    assertEquals(calls, []);
    functions = { ...given, timer_create: () => -1 };
    exit(0);
    assertEquals(calls.splice(0), ["_exit\0"]);
    functions = { ...given, dlsym: () => assert(false, "an exit listener that throws changes the code") };
    exit(0);
  });
});

test(
  "threaded has half a megabyte of stack, and returns 64-bit results as bigints",
  () =>
    withFixture(async ({ threaded }) => {
      assertEquals(await threaded.deep(512 * 1024), 1);
      assertEquals(await threaded.wide_later(5n), 5n);
      assertEquals(await threaded.wide_later((1n << 64n) - 1n), (1n << 64n) - 1n);
    }),
  { skip },
);

test(
  "open() throws an UnsupportedPlatformError with library and function where a function is missing",
  async () => {
    using file = await compile(SOURCE, ["-shared"]);
    const spec = {
      ...SPEC,
      fns: { ...SPEC.fns, gss_made_up: { params: [], result: "u32", threaded: true } },
    } as const satisfies LibrarySpec;
    const error = assertThrows(() => runtimeBackend().open(file.path, spec), UnsupportedPlatformError);
    assertEquals([error.dll, error.symbol, error.instead], ["fixture", "gss_made_up", "Compile it"]);
  },
  { skip },
);

test(
  "open() reports a missing optional function when it is called, and not before",
  () =>
    withFixture(async ({ call, threaded }) => {
      const error = assertThrows(() => call.absent(), UnsupportedPlatformError);
      assertEquals(error.symbol, "not_there");
      await assertRejects(async () => await threaded.absent(), UnsupportedPlatformError);
    }),
  { skip },
);

test("poolThreads() counts the threads of Node's pool as libuv does, up to the limit of koffi", () => {
  const cases = { "2": 2, "64": 64, "9 ": 9, "12x": 12, "0": 1, "": 1, "many": 1, "-3": 1, "5000": 128 };
  for (const [size, threads] of Object.entries(cases)) assertEquals(poolThreads(size), threads, size);
  assertEquals(poolThreads(undefined), 4);
});
