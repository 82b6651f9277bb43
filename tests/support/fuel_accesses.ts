/**
 * Searches a guarded module for instructions that use what the guard appended. It has its own reader, so that a
 * mistake in the guard's reader cannot hide.
 */

import wabtFactory from "wabt";

const wabt = await wabtFactory();

/**
 * Returns `"ticks only"` where only the guard's own sequences use the appended globals and functions; otherwise the
 * first line of the disassembly with another use. Checks the table's elements too.
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
  const fuel = globals - 2, failures = globals - 1;
  // The guard's own five functions are the last ones and are fixed. The first two replace instructions.
  const functions = [...lines.keys()].filter((index) => lines[index].startsWith("(func "));
  const guest = lines.slice(0, functions[functions.length - 5]);
  const imports = lines.filter((line) => line.startsWith("(import ")).length;
  const callable = imports + functions.length - 3;
  const elements = lines.filter((line) => line.startsWith("(elem "));
  for (const element of elements) {
    const [, placed = ""] = / func ([\d ]*)/.exec(element) ?? [];
    if (placed.split(" ").some((index) => Number(index) >= callable - 2)) return element;
  }
  for (let at = 0; at < guest.length; at++) {
    const [, called] = /^call (\d+)/.exec(guest[at]) ?? [];
    if (called !== undefined && Number(called) >= callable) return guest[at];
    const [, access, index] = /^global\.(get|set) (\d+)/.exec(guest[at]) ?? [];
    if (access === undefined || Number(index) < fuel) continue;
    if (Number(index) === failures || access === "set" || !isTick(guest, at, fuel)) return guest[at];
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
