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
  // The guard's own six functions are the last ones and are fixed. The first two replace instructions.
  const functions = [...lines.keys()].filter((index) => lines[index].startsWith("(func "));
  const guest = lines.slice(0, functions[functions.length - 6]);
  const imports = lines.filter((line) => line.startsWith("(import ")).length;
  const callable = imports + functions.length - 4;
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
    if (Number(index) === failures || access === "set") return guest[at];
    const end = endOfTick(guest, at, fuel) ?? endOfLocalCounter(guest, at, fuel);
    if (end === null) return guest[at];
    at = end;
  }
  return "ticks only";
}

const STOP = ["i32.const -1", "i32.gt_s", "i32.div_u", "drop"];
const TICK = [
  ...["global.get FUEL", "i32.const COST", "i32.sub", "global.set FUEL"],
  ...["i32.const 1", "global.get FUEL", ...STOP],
];
const ENTER = ["global.get FUEL", "local.tee LOCAL", "i32.const -1", "i32.xor", "global.set FUEL", "loop"];
const LOCAL_TICK = [
  ...["local.get LOCAL", "i32.const COST", "i32.sub", "local.set LOCAL"],
  ...["i32.const 1", "local.get LOCAL", ...STOP],
];
const LEAVE = ["local.get LOCAL", "global.set FUEL"];
/** What must not stand in a loop that has the counter in a local variable. */
const LEAVES =
  /^(return|br_table|call|call_indirect|memory\.(grow|init|copy|fill)|loop|i(32|64)\.(div|rem)_[su]|global\.(get|set) FUEL)\b/;

/** The last line of the tick that begins at `at`; null if none does. */
function endOfTick(lines: readonly string[], at: number, fuel: number): number | null {
  return matches(lines, at, TICK, fuel) ? at + TICK.length - 1 : null;
}

/**
 * The last line of the loop with the counter in a local variable whose `enter` begins at `at`; null if none does, or
 * one that something else leaves or in which something else uses the variable.
 */
function endOfLocalCounter(lines: readonly string[], at: number, fuel: number): number | null {
  const [, local] = /^local\.tee (\d+)/.exec(lines[at + 1]) ?? [];
  if (!matches(lines, at, ENTER, fuel, local)) return null;
  const start = at + ENTER.length;
  if (!matches(lines, start, LOCAL_TICK, fuel, local)) return null;
  let open = 1;
  for (let line = start + LOCAL_TICK.length; line < lines.length; line++) {
    const text = lines[line];
    const [, target] = /^br(?:_if)? (\d+)/.exec(text) ?? [];
    if (target !== undefined && Number(target) >= open) return null;
    if (LEAVES.test(text.replace(new RegExp(`^(global\\.[gs]et) ${fuel}\\b`), "$1 FUEL"))) return null;
    if (new RegExp(`^local\\.(get|set|tee) ${local}\\b`).test(text)) return null;
    if (/^(block|if)\b/.test(text)) open++;
    if (/^end\b/.test(text) && --open === 0) {
      return matches(lines, line + 1, LEAVE, fuel, local) ? line + LEAVE.length : null;
    }
  }
  return null;
}

function matches(lines: readonly string[], at: number, pattern: readonly string[], fuel: number, local = "") {
  return pattern.every((expected, index) => {
    const line = lines[at + index].replace(/ *;;.*$/, "").replace(/\)+$/, "");
    if (expected === "i32.const COST") return /^i32\.const [1-9]\d*$/.test(line);
    if (expected === "loop") return line.startsWith("loop");
    return line === expected.replace("FUEL", String(fuel)).replace("LOCAL", local);
  });
}
