/**
 * Looks through a guarded module for instructions that touch what the guard appended, with a reader of its own, so
 * that a mistake in the guard's reader does not hide itself.
 */

import wabtFactory from "wabt";

const wabt = await wabtFactory();

/**
 * `"ticks only"` where the appended globals are touched by the guard's own sequences and exports alone; else the first
 * line of the disassembly that touches them otherwise.
 */
export function fuelAccesses(guarded: Uint8Array): string {
  const module = wabt.readWasm(Uint8Array.from(guarded), {
    readDebugNames: false,
    check: true,
    ...{
      mutable_globals: true,
      sat_float_to_int: true,
      sign_extension: true,
      multi_value: true,
      bulk_memory: true,
    },
  });
  let lines: string[];
  try {
    lines = module.toText({ foldExprs: false, inlineExport: false }).split("\n").map((line) => line.trim());
  } finally {
    module.destroy();
  }
  const globals = lines.filter((line) => line.startsWith("(global ")).length;
  const fuel = globals - 2, grow = globals - 1;
  // The guard's own functions stand last; what they do is fixed.
  const helpers = lines.findLastIndex((line) => line.startsWith("(func "));
  const own = lines.findLastIndex((line, index) => index < helpers && line.startsWith("(func "));
  const guest = lines.slice(0, own);
  for (let at = 0; at < guest.length; at++) {
    const [, access, index] = /^global\.(get|set) (\d+)/.exec(guest[at]) ?? [];
    if (access === undefined || Number(index) < fuel) continue;
    if (Number(index) === grow || access === "set" || !isTick(guest, at, fuel)) return guest[at];
    at += TICK.length - 1;
  }
  return "ticks only";
}

const TICK = [
  "global.get FUEL",
  "i32.const COST",
  "i32.sub",
  "global.set FUEL",
  "global.get FUEL",
  "i32.const 0",
  "i32.lt_s",
  "if",
  "unreachable",
  "end",
];

function isTick(lines: readonly string[], at: number, fuel: number): boolean {
  return TICK.every((pattern, index) => {
    const line = lines[at + index].replace(/ *;;.*$/, "").replace(/\)+$/, "");
    if (pattern === "i32.const COST") return /^i32\.const [1-9]\d*$/.test(line);
    return line === pattern.replace("FUEL", String(fuel)) || pattern === "if" && line.startsWith("if");
  });
}
