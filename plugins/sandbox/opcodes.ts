/**
 * The instructions a provider may use: what follows each opcode, and what it costs.
 *
 * WebAssembly 1.0 with sign extension, saturating conversions, bulk memory and multi-value. What is not in this
 * table is refused. Costs are in units of fuel, and were set so that no mix of instructions runs much longer per unit
 * than the others (bench/sandbox.ts prints the slowest).
 *
 * @module
 */

/** What follows an opcode in the code. */
export type Immediate =
  | "none"
  | "block"
  | "index"
  | "branches"
  | "indirect"
  | "types"
  | "address"
  | "memory"
  | "integer"
  | "float32"
  | "float64"
  | "data+memory"
  | "data"
  | "memory+memory";

/** One instruction. */
export interface Instruction {
  /** What follows its opcode. */
  readonly immediate: Immediate;
  /** Units of fuel. */
  readonly cost: number;
}

type Row = readonly [first: number, last: number, immediate: Immediate, cost: number];

const ROWS: readonly Row[] = [
  [0x00, 0x01, "none", 1], // unreachable, nop
  [0x02, 0x04, "block", 1], // block, loop, if
  [0x05, 0x05, "none", 1], // else
  [0x0b, 0x0b, "none", 1], // end
  [0x0c, 0x0d, "index", 2], // br, br_if
  [0x0e, 0x0e, "branches", 4], // br_table
  [0x0f, 0x0f, "none", 1], // return
  [0x10, 0x10, "index", 4], // call
  [0x11, 0x11, "indirect", 10], // call_indirect: a signature check and a mispredicted jump
  [0x1a, 0x1b, "none", 1], // drop, select
  [0x1c, 0x1c, "types", 1], // select t
  [0x20, 0x24, "index", 1], // local.get, local.set, local.tee, global.get, global.set
  [0x28, 0x3e, "address", 3], // loads and stores: the memory cap bounds what a cache miss costs
  [0x3f, 0x3f, "memory", 2], // memory.size
  [0x40, 0x40, "memory", 4], // memory.grow: the helper that stands in for it charges more
  [0x41, 0x42, "integer", 1], // i32.const, i64.const
  [0x43, 0x43, "float32", 1], // f32.const
  [0x44, 0x44, "float64", 1], // f64.const
  [0x45, 0x6c, "none", 1], // comparisons; i32.clz to i32.mul
  [0x6d, 0x70, "none", 12], // i32 division and remainder
  [0x71, 0x7e, "none", 1], // i32 logic; i64.clz to i64.mul
  [0x7f, 0x82, "none", 24], // i64 division and remainder
  [0x83, 0x8a, "none", 1], // i64 logic
  [0x8b, 0x90, "none", 2], // f32.abs to f32.nearest
  [0x91, 0x91, "none", 10], // f32.sqrt
  [0x92, 0x94, "none", 3], // f32.add, sub, mul
  [0x95, 0x95, "none", 10], // f32.div
  [0x96, 0x98, "none", 6], // f32.min, max, copysign
  [0x99, 0x9e, "none", 2], // f64.abs to f64.nearest
  [0x9f, 0x9f, "none", 14], // f64.sqrt
  [0xa0, 0xa2, "none", 3], // f64.add, sub, mul
  [0xa3, 0xa3, "none", 12], // f64.div
  [0xa4, 0xa6, "none", 6], // f64.min, max, copysign
  [0xa7, 0xbf, "none", 4], // conversions
  [0xc0, 0xc4, "none", 1], // sign extension
];

const PREFIXED_ROWS: readonly Row[] = [
  [0, 7, "none", 4], // saturating conversions
  [8, 8, "data+memory", 8], // memory.init: and by length
  [9, 9, "data", 8], // data.drop
  [10, 10, "memory+memory", 8], // memory.copy: and by length
  [11, 11, "memory", 8], // memory.fill: and by length
];

function expand(rows: readonly Row[]): readonly (Instruction | undefined)[] {
  const table: (Instruction | undefined)[] = new Array(256).fill(undefined);
  for (const [first, last, immediate, cost] of rows) {
    for (let opcode = first; opcode <= last; opcode++) table[opcode] = { immediate, cost };
  }
  return table;
}

/** Instructions of one byte, by opcode. */
export const INSTRUCTIONS: readonly (Instruction | undefined)[] = expand(ROWS);
/** Instructions behind the prefix 0xfc, by their second number. */
export const PREFIXED: readonly (Instruction | undefined)[] = expand(PREFIXED_ROWS);

/** Opcodes the guard itself names. A prefixed one is `0xfc00` plus its number. */
export const Op = {
  unreachable: 0x00,
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  end: 0x0b,
  call: 0x10,
  localGet: 0x20,
  localSet: 0x21,
  localTee: 0x22,
  globalGet: 0x23,
  globalSet: 0x24,
  memoryGrow: 0x40,
  i32Const: 0x41,
  i64Const: 0x42,
  f32Const: 0x43,
  f64Const: 0x44,
  i32Eq: 0x46,
  i32LtS: 0x48,
  i32Add: 0x6a,
  i32Sub: 0x6b,
  i32Mul: 0x6c,
  i32ShrU: 0x76,
  prefix: 0xfc,
  memoryInit: 0xfc08,
  memoryCopy: 0xfc0a,
  memoryFill: 0xfc0b,
} as const;

/** Value types a provider may use. */
export const ValueType = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c } as const;
/** The block type without values. */
export const EMPTY_BLOCK = 0x40;

/** What a refused opcode belongs to, for the message. */
export function featureOf(opcode: number): { rule: string; feature: string } {
  if (opcode === 0xfd) return { rule: "simd", feature: "SIMD" };
  if (opcode === 0xfe) return { rule: "threads", feature: "threads (atomics)" };
  if (opcode === 0xfb || opcode >= 0xd0 && opcode <= 0xd6) {
    return { rule: "gc", feature: "reference types or garbage collection" };
  }
  if (opcode === 0x12 || opcode === 0x13) return { rule: "tail-call", feature: "tail calls" };
  if (opcode === 0x14 || opcode === 0x15) return { rule: "gc", feature: "function references" };
  if (opcode >= 0x06 && opcode <= 0x0a || opcode === 0x18 || opcode === 0x19 || opcode === 0x1f) {
    return { rule: "exceptions", feature: "exceptions" };
  }
  if (opcode === 0x25 || opcode === 0x26 || opcode >= 0xfc0c && opcode <= 0xfc11) {
    return { rule: "table-instruction", feature: "instructions that change tables" };
  }
  return { rule: "opcode", feature: `instruction 0x${opcode.toString(16)}` };
}
