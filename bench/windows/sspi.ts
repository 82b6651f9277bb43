/**
 * Kerberos of secur32.dll, both ends in one process: this library, and a C program that makes the same calls.
 *
 * @module
 */

import type { Backend, Library, LibrarySpec } from "../../ffi/abi.ts";
import { denoBackend } from "../../ffi/backends/deno.ts";
import { wideString } from "../../ffi/memory/memory.ts";
import { NativeSystem } from "../../ffi/system.ts";
import { kerberos } from "../../plugins/negotiate/mod.ts";
import { acquire, close, sealAndOpen, shake } from "../contexts.ts";
import { rate } from "../peer.ts";
import type { Measured } from "../rounds.ts";
import { wineStreams } from "./wine_streams.ts";

const TARGET = "HTTP/localhost";
const MIB = 1 << 20;

const BENCH = {
  name: "sspi_bench.dll",
  instead: "deno task bench:windows compiles it",
  files: {},
  fns: {
    BenchOpen: { params: [["target", "buf"], ["stream", "i32"]], result: "u32" },
    BenchHandshakes: { params: [["ms", "u32"], ["result", "buf"]], result: "u32" },
    BenchHandshakeLoop: {
      params: [["many", "u32"], ["ms", "u32"], ["result", "buf"]],
      result: "u32",
    },
    BenchSeal: { params: [["size", "u32"], ["ms", "u32"], ["result", "buf"]], result: "u32" },
    BenchClose: { params: [], result: "void" },
  },
} as const satisfies LibrarySpec;

/** This library. Wine knows no streams of records, and no client's name. */
export function librarySspi(onWine: boolean): Measured {
  const backend = onWine ? wineStreams(denoBackend()) : denoBackend();
  const system = new NativeSystem({ grants: ["sspi"] }, { backend });
  const here = new NativeSystem({ grants: ["sspi"] }, { backend: onThisThread(backend) });
  return {
    name: "ours",
    async measure(request, ms) {
      const [verb, number] = request.split(" ");
      const credentials = await acquire(kerberos(), verb === "handshake-here" ? here : system);
      try {
        const one = () => shake(credentials, TARGET, !onWine);
        if (verb !== "seal") {
          const turns = Array.from(
            { length: Number(number) },
            () => rate(ms, async () => close(await one())),
          );
          return [(await Promise.all(turns)).reduce((sum, each) => sum + each)];
        }
        const ends = await one();
        const rates = sealAndOpen(ends, Number(number), ms);
        close(ends);
        return rates;
      } finally {
        close(credentials);
      }
    },
  };
}

/** Makes calls on the calling thread that the library makes on others, to measure what the other threads cost. */
function onThisThread(inner: Backend): Backend {
  return {
    ...inner,
    open<L extends LibrarySpec>(path: string, spec: L): Library<L> {
      const library = inner.open(path, spec);
      return { ...library, threaded: library.call as unknown as Library<L>["threaded"] };
    },
  };
}

/** The C program, in the library at `path`. */
export function cSspi(path: string, onWine: boolean): Measured {
  const { call } = denoBackend().open(path, BENCH);
  return {
    name: "C",
    // deno-lint-ignore require-await -- as the library's
    async measure(request, ms) {
      const [verb, number] = request.split(" ");
      check("BenchOpen", call.BenchOpen(wideString(TARGET), onWine ? 0 : 1));
      try {
        if (verb === "seal") return seal(call, Number(number), ms);
        return verb === "handshake"
          ? handshakes((result) => call.BenchHandshakes(ms, result))
          : handshakes((result) => call.BenchHandshakeLoop(Number(number), ms, result));
      } finally {
        call.BenchClose();
      }
    },
  };
}

type BenchCalls = Library<typeof BENCH>["call"];

function handshakes(measure: (result: Uint8Array) => number): number[] {
  const result = new BigUint64Array(2);
  check("a handshake", measure(new Uint8Array(result.buffer)));
  const [count, microseconds] = Array.from(result, Number);
  return [count / microseconds * 1e6];
}

function seal(call: BenchCalls, size: number, ms: number): number[] {
  const result = new BigUint64Array(3);
  check("BenchSeal", call.BenchSeal(size, ms, new Uint8Array(result.buffer)));
  const [bytes, sealing, opening] = Array.from(result, Number);
  return [sealing, opening].map((microseconds) => bytes / MIB / microseconds * 1e6);
}

function check(fn: string, status: number): void {
  if (status !== 0) throw new Error(`${fn} failed with 0x${status.toString(16)}`);
}
