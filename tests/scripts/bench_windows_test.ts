/** The pure parts of `deno task bench:windows`; what it measures it measures for real. */

import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { test } from "@test";
import { fileURLToPath } from "node:url";
import { readOptions } from "../../bench/command_line.ts";
import type { Measure } from "../../bench/measure.ts";
import { takeTurns } from "../../bench/rounds.ts";
import { markdown, rowsOf, textLine } from "../../bench/table.ts";
import { needsRealm, WINDOWS_COLUMNS, WINDOWS_MEASURES } from "../../bench/windows/measures.ts";
import { isTcp } from "../../bench/windows/tcp.ts";
import { splitStream, takePadding } from "../../bench/windows/wine_streams.ts";
import { pinned } from "../../ffi/memory/memory.ts";
import { SECBUFFER, SecBuffer, SecBufferDesc } from "../../ffi/raw/secur32.ts";
import { run } from "../../scripts/process.ts";

const LATENCY: Measure = {
  name: "latency",
  titles: ["round trip, us"],
  requests: { Deno: "x", ours: "x" },
  targets: [{ of: "ours", over: "Deno", most: 1.5 }],
};

test("a target that must not be passed is met below it and missed above", () => {
  const rounds = (ours: number) => ({ Deno: [[100]], ours: [[ours]] });
  const [met] = rowsOf(LATENCY, rounds(150), WINDOWS_COLUMNS);
  assertEquals([met.met, met.verdicts], [true, ["ours <= 1.50 Deno: met"]]);
  const [missed] = rowsOf(LATENCY, rounds(151), WINDOWS_COLUMNS);
  assertEquals([missed.met, missed.verdicts], [false, ["ours <= 1.50 Deno: MISSED"]]);
});

test("the table has a column for each peer and for each ratio", () => {
  const rows = rowsOf(LATENCY, { Deno: [[100]], ours: [[90]] }, WINDOWS_COLUMNS);
  const cells = markdown(rows, WINDOWS_COLUMNS).split("\n").map((line) =>
    line.split("|").slice(1, -1).map((cell) => cell.trim())
  );
  assertEquals(cells[0], ["", "C", "Deno", "ours", "ours/C", "ours/Deno", "target"]);
  assertEquals(cells[2], ["round trip, us", "", "100", "90.0", "", "0.90", "ours <= 1.50 Deno: met"]);
  assert(textLine(null, WINDOWS_COLUMNS).includes("ours/Deno"));
});

test("the targets are those that were set", () => {
  const targets = WINDOWS_MEASURES.map(({ name, targets = [] }) =>
    [name, targets.map((target) => "most" in target ? target.most : target.least)] as const
  );
  assertEquals(targets.filter(([, limits]) => limits.length > 0), [
    ["round-trip", [1.5]],
    ["bulk", [0.8]],
    ["handshake", [0.8]],
    ["handshake-loop", [0.8]],
    ["handshake-loop-8", [0.8]],
    ["seal-1kib", [0.8]],
    ["seal-64kib", [0.8]],
  ]);
});

test("every measure compares this library with a peer, and every request belongs to a peer", () => {
  for (const { name, requests, targets = [] } of WINDOWS_MEASURES) {
    const [other, ...more] = Object.keys(requests).filter((peer) => peer !== "ours");
    assert(other !== undefined && more.length === 0, name);
    for (const { of, over } of targets) assertEquals([of, over], ["ours", other]);
    assertEquals(needsRealm({ name, titles: [], requests }), !isTcp(requests.ours));
  }
  assertEquals(new Set(WINDOWS_MEASURES.map(({ name }) => name)).size, WINDOWS_MEASURES.length);
});

test("peers are measured in alternating rounds, and the first round does not count", async () => {
  const asked: string[] = [];
  const peer = (name: string) => ({
    name,
    measure(request: string, ms: number) {
      asked.push(`${name} ${request} ${ms}`);
      return Promise.resolve([asked.length]);
    },
  });
  const rounds = await takeTurns(LATENCY, [peer("Deno"), peer("C"), peer("ours")], { rounds: 2, ms: 10 });
  assertEquals(asked, ["Deno x 1000", "ours x 1000", "Deno x 10", "ours x 10", "Deno x 10", "ours x 10"]);
  assertEquals(rounds, { Deno: [[3], [5]], ours: [[4], [6]] });
});

test("a command line is read, and a wrong one refused by what is wrong with it", () => {
  const options = readOptions(["--rounds", "3", "--save", "seal"], WINDOWS_MEASURES)!;
  assertEquals([options.rounds, options.ms, options.save], [3, 400, true]);
  assertEquals(options.measures.map(({ name }) => name), ["seal-1kib", "seal-64kib"]);
  assertEquals(readOptions([], WINDOWS_MEASURES)!.measures, WINDOWS_MEASURES);
  assertEquals(readOptions(["--help"], WINDOWS_MEASURES), null);
  assertEquals([...readOptions(["--wall"], WINDOWS_MEASURES, ["wall"])!.flags], ["wall"]);
  for (
    const [wrong, why] of [[["--rounds", "0"], "--rounds"], [["nix"], "nix"], [["--wall"], "wall"]] as const
  ) {
    assertThrows(() => readOptions([...wrong], WINDOWS_MEASURES), TypeError, why);
  }
});

test("the bench prints what it needs and shows, and marks Wine's figures as Wine's", async () => {
  const root = fileURLToPath(new URL("../../", import.meta.url));
  const bench = (...args: string[]) =>
    run(Deno.execPath(), ["run", "-A", "bench/windows.ts", ...args], { cwd: root });
  const help = await bench("--help");
  assertEquals(help.code, 0);
  for (const part of ["--save", "RESULTS-windows.md", "Wine's figures", "round-trip"]) {
    assertStringIncludes(help.stdout, part);
  }
  assertEquals((await bench("--core", "no")).code, 2);
});

/** Buffers as the library keeps them: right behind their description. */
function buffers(...parts: { type: number; length: number; address: bigint }[]): DataView {
  const view = new DataView(pinned(SecBufferDesc.size + parts.length * SecBuffer.size).buffer);
  parts.forEach(({ type, length, address }, index) => {
    const values = { BufferType: type, cbBuffer: length, pvBuffer: address };
    SecBuffer.write(view, values, SecBufferDesc.size + index * SecBuffer.size);
  });
  return view;
}

const bytesOf = (view: DataView) => new Uint8Array(view.buffer);
const partOf = (view: DataView, index: number) => {
  const { BufferType, cbBuffer, pvBuffer } = SecBuffer.read(
    view,
    SecBufferDesc.size + index * SecBuffer.size,
  );
  return { type: BufferType, length: cbBuffer, address: pvBuffer };
};

test("a stream becomes the token and the data that Wine accepts", () => {
  const view = buffers({ type: SECBUFFER.STREAM, length: 1084, address: 0x5000n }, {
    type: SECBUFFER.DATA,
    length: 0,
    address: 0n,
  });
  splitStream(bytesOf(view));
  assertEquals([partOf(view, 0), partOf(view, 1)], [
    { type: SECBUFFER.TOKEN, length: 60, address: 0x5000n },
    { type: SECBUFFER.DATA, length: 1024, address: 0x503cn },
  ]);
});

test("a buffer that is not a stream of a record, or too short, is passed to Wine, which refuses it", () => {
  for (const part of [{ type: SECBUFFER.TOKEN, length: 100 }, { type: SECBUFFER.STREAM, length: 59 }]) {
    const view = buffers({ ...part, address: 1n }, { type: SECBUFFER.DATA, length: 0, address: 0n });
    const before = bytesOf(view).slice();
    splitStream(bytesOf(view));
    assertEquals(bytesOf(view), before);
  }
});

test("padding that Wine did not use is reported as empty", () => {
  const part = (type: number) => ({ type, length: 8, address: 1n });
  const view = buffers(part(SECBUFFER.TOKEN), part(SECBUFFER.DATA), part(SECBUFFER.PADDING));
  takePadding(bytesOf(view));
  assertEquals([0, 1, 2].map((index) => partOf(view, index).length), [8, 8, 0]);
});
