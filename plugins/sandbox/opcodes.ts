/**
 * The instructions that a provider may use: their operands and their cost.
 *
 * WebAssembly 1.0 with sign extension, saturating conversions, bulk memory and multi-value. Everything that is not
 * in this table is refused. Costs are in units of fuel, set so that no mix of instructions runs much longer per
 * unit than the others (bench/sandbox.ts prints the slowest).
 *
 * @module
 */

/** The operands of an opcode. */
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
  /** Its operands. */
  readonly immediate: Immediate;
  /** Units of fuel. */
  readonly cost: number;
  /** How many more values are on the stack afterwards. */
  readonly effect: number;
}

type Row = readonly [first: number, last: number, immediate: Immediate, cost: number, effect: number];

const ROWS: readonly Row[] = [
  [0x00, 0x01, "none", 1, 0], // unreachable, nop
  [0x02, 0x03, "block", 1, 0], // block, loop
  [0x04, 0x04, "block", 1, -1], // if
  [0x05, 0x05, "none", 1, 0], // else
  [0x0b, 0x0b, "none", 1, 0], // end
  [0x0c, 0x0c, "index", 2, 0], // br
  [0x0d, 0x0d, "index", 2, -1], // br_if
  [0x0e, 0x0e, "branches", 4, -1], // br_table
  [0x0f, 0x0f, "none", 1, 0], // return
  [0x10, 0x10, "index", 4, 0], // call: and by its type
  [0x11, 0x11, "indirect", 10, -1], // call_indirect: a signature check, a mispredicted jump; and by its type
  [0x1a, 0x1a, "none", 1, -1], // drop
  [0x1b, 0x1b, "none", 1, -2], // select
  [0x1c, 0x1c, "types", 1, -2], // select t
  [0x20, 0x20, "index", 1, 1], // local.get
  [0x21, 0x21, "index", 1, -1], // local.set
  [0x22, 0x22, "index", 1, 0], // local.tee
  [0x23, 0x23, "index", 1, 1], // global.get
  [0x24, 0x24, "index", 1, -1], // global.set
  [0x28, 0x35, "address", 3, 0], // loads: the memory cap bounds what a cache miss costs
  [0x36, 0x3e, "address", 3, -2], // stores
  [0x3f, 0x3f, "memory", 2, 1], // memory.size
  [0x40, 0x40, "memory", 4, 0], // memory.grow: the helper that stands in for it charges more
  [0x41, 0x42, "integer", 1, 1], // i32.const, i64.const
  [0x43, 0x43, "float32", 1, 1], // f32.const
  [0x44, 0x44, "float64", 1, 1], // f64.const
  [0x45, 0x45, "none", 1, 0], // i32.eqz
  [0x46, 0x4f, "none", 1, -1], // i32 comparisons
  [0x50, 0x50, "none", 1, 0], // i64.eqz
  [0x51, 0x66, "none", 1, -1], // i64, f32 and f64 comparisons
  [0x67, 0x69, "none", 1, 0], // i32.clz, ctz, popcnt
  [0x6a, 0x6c, "none", 1, -1], // i32.add, sub, mul
  [0x6d, 0x70, "none", 12, -1], // i32 division and remainder
  [0x71, 0x78, "none", 1, -1], // i32 logic and shifts
  [0x79, 0x7b, "none", 1, 0], // i64.clz, ctz, popcnt
  [0x7c, 0x7e, "none", 1, -1], // i64.add, sub, mul
  [0x7f, 0x82, "none", 24, -1], // i64 division and remainder
  [0x83, 0x8a, "none", 1, -1], // i64 logic and shifts
  [0x8b, 0x90, "none", 2, 0], // f32.abs to f32.nearest
  [0x91, 0x91, "none", 10, 0], // f32.sqrt
  [0x92, 0x94, "none", 3, -1], // f32.add, sub, mul
  [0x95, 0x95, "none", 10, -1], // f32.div
  [0x96, 0x98, "none", 6, -1], // f32.min, max, copysign
  [0x99, 0x9e, "none", 2, 0], // f64.abs to f64.nearest
  [0x9f, 0x9f, "none", 14, 0], // f64.sqrt
  [0xa0, 0xa2, "none", 3, -1], // f64.add, sub, mul
  [0xa3, 0xa3, "none", 12, -1], // f64.div
  [0xa4, 0xa6, "none", 6, -1], // f64.min, max, copysign
  [0xa7, 0xbf, "none", 4, 0], // conversions
  [0xc0, 0xc4, "none", 1, 0], // sign extension
];

const PREFIXED_ROWS: readonly Row[] = [
  [0, 7, "none", 4, 0], // saturating conversions
  [8, 8, "data+memory", 8, -3], // memory.init: and by length
  [9, 9, "data", 8, 0], // data.drop
  [10, 10, "memory+memory", 8, -3], // memory.copy: and by length
  [11, 11, "memory", 8, -3], // memory.fill: and by length
];

function expand(rows: readonly Row[]): readonly (Instruction | undefined)[] {
  const table: (Instruction | undefined)[] = new Array(256).fill(undefined);
  for (const [first, last, immediate, cost, effect] of rows) {
    for (let opcode = first; opcode <= last; opcode++) table[opcode] = { immediate, cost, effect };
  }
  return table;
}

/** Instructions of one byte, by opcode. */
export const INSTRUCTIONS: readonly (Instruction | undefined)[] = expand(ROWS);
/** Instructions with the prefix 0xfc, by their second number. */
export const PREFIXED: readonly (Instruction | undefined)[] = expand(PREFIXED_ROWS);

/** Opcodes that the guard refers to. A prefixed one is `0xfc00` plus its number. */
export const Op = {
  unreachable: 0x00,
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  else: 0x05,
  end: 0x0b,
  br: 0x0c,
  brIf: 0x0d,
  brTable: 0x0e,
  return: 0x0f,
  call: 0x10,
  callIndirect: 0x11,
  drop: 0x1a,
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
  i32GtS: 0x4a,
  i32Add: 0x6a,
  i32Sub: 0x6b,
  i32Mul: 0x6c,
  i32DivS: 0x6d,
  i32DivU: 0x6e,
  i32RemU: 0x70,
  i32Xor: 0x73,
  i32ShrU: 0x76,
  i64DivS: 0x7f,
  i64RemU: 0x82,
  prefix: 0xfc,
  memoryInit: 0xfc08,
  memoryCopy: 0xfc0a,
  memoryFill: 0xfc0b,
} as const;

/** Value types that a provider may use. */
export const ValueType = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c } as const;
/** The block type without values. */
export const EMPTY_BLOCK = 0x40;

/** The feature that a refused opcode belongs to, for the message. */
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
