/**
 * Buffers passed to a call on another thread are kept until the call ends.
 */

import { assert, assertEquals } from "@std/assert";
import { test } from "@test";
import process from "node:process";
import v8 from "node:v8";
import vm from "node:vm";
import type { Library, LibrarySpec } from "../../../ffi/abi.ts";
import { denoBackend } from "../../../ffi/backends/deno.ts";
import { koffiBackend } from "../../../ffi/backends/koffi.ts";
import { currentRuntime } from "../../../ffi/permissions.ts";

type SleepParams = LibrarySpec["fns"][string]["params"];

function spec(symbol: string, params: SleepParams): LibrarySpec {
  return {
    name: symbol,
    instead: "",
    files: {},
    fns: { sleep: { symbol, params, result: "i32", threaded: true } },
  };
}

/** A function of each system that takes a buffer and waits. */
const SLEEPERS = {
  linux: {
    path: `/usr/lib/${process.arch === "arm64" ? "aarch64" : "x86_64"}-linux-gnu/libc.so.6`,
    spec: spec("nanosleep", [["time", "buf"], ["rest", "buf"]]),
    /** A `struct timespec`. */
    buffer: (seconds: number) => BigInt64Array.of(BigInt(seconds), 0n),
    args: (buffer: Uint8Array) => [buffer, null],
    slept: 0,
  },
  win32: {
    path: "C:\\Windows\\System32\\kernel32.dll",
    spec: spec("WaitForMultipleObjects", [["count", "u32"], ["handles", "buf"], ["all", "i32"], [
      "ms",
      "u32",
    ]]),
    /** This process, which does not end while it waits. */
    buffer: () => BigInt64Array.of(-1n),
    args: (buffer: Uint8Array, seconds: number) => [1, buffer, 0, seconds * 1000],
    slept: 258,
  },
};

const sleeper = SLEEPERS[process.platform as keyof typeof SLEEPERS];
const skip = sleeper === undefined ? `no function that sleeps is known for ${process.platform}` : null;

/** Starts the call and drops the reference to its buffer. */
function sleep(
  library: Library<LibrarySpec>,
  seconds: number,
): { pending: Promise<unknown>; buffer: WeakRef<Uint8Array> } {
  const buffer = new Uint8Array(sleeper.buffer(seconds).buffer);
  const { sleep } = library.threaded as unknown as Record<string, (...args: unknown[]) => Promise<unknown>>;
  return { pending: sleep(...sleeper.args(buffer, seconds)), buffer: new WeakRef(buffer) };
}

/** Runs the collector until `gone` is true, or long enough to be sure that it will not be. */
async function collect(gone: () => boolean, rounds = 10): Promise<void> {
  v8.setFlagsFromString("--expose-gc");
  const run = vm.runInNewContext("gc") as () => void;
  for (let round = 0; round < rounds && !gone(); round++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    run();
  }
}

test("threaded keeps a buffer until its call has ended, and no longer", async () => {
  const backend = currentRuntime() === "deno" ? denoBackend() : koffiBackend();
  const library = backend.open(sleeper.path, sleeper.spec);
  try {
    const { pending, buffer } = sleep(library, 2);
    let ended = false;
    const result = pending.finally(() => {
      ended = true;
    });
    await collect(() => buffer.deref() === undefined, 3);
    assertEquals(ended, false, "the call is under way");
    assert(buffer.deref() !== undefined, "the buffer is there while the call is under way");
    assertEquals(await result, sleeper.slept);
    await collect(() => buffer.deref() === undefined);
    assertEquals(buffer.deref(), undefined);
  } finally {
    library.close();
  }
}, { skip });
