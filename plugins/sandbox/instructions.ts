/**
 * Reads instructions one after the other: the opcode, and the part of the operands that the guard needs.
 *
 * @module
 */

import { type ByteReader, reject } from "./bytes.ts";
import {
  EMPTY_BLOCK,
  featureOf,
  type Instruction,
  INSTRUCTIONS,
  Op,
  PREFIXED,
  ValueType,
} from "./opcodes.ts";

/** The operand of a block without parameters and results. */
export const NO_VALUES = -1;
/** The operand of a block without parameters and with one result. */
export const ONE_VALUE = -2;

/** Walks over the instructions of one function body. */
export class InstructionReader {
  /** The opcode last read; a prefixed one is `0xfc00` plus its number. */
  opcode = 0;
  /** Its offset. */
  at = 0;
  /**
   * Its operand: an index (of a function for call, of a type for call_indirect), a block's type or
   * {@linkcode NO_VALUES} or {@linkcode ONE_VALUE}, the number of targets of a br_table; 0 for all others.
   */
  operand = 0;
  readonly #body: ByteReader;
  readonly #types: number;

  /** Walks over `body`, in a module that has `types` types. */
  constructor(body: ByteReader, types: number) {
    this.#body = body;
    this.#types = types;
  }

  /**
   * Reads the next instruction.
   *
   * @throws ProviderRejectedError if a provider must not use it.
   */
  next(): Instruction {
    const body = this.#body;
    this.at = body.at;
    const first = body.byte();
    this.opcode = first === Op.prefix ? 0xfc00 + body.u32() : first;
    const instruction = first === Op.prefix ? PREFIXED[this.opcode - 0xfc00] : INSTRUCTIONS[first];
    if (!instruction) {
      const { rule, feature } = featureOf(this.opcode);
      reject(rule, this.at, `it uses ${feature}; build it without`);
    }
    this.operand = this.#readImmediate(instruction);
    return instruction;
  }

  #readImmediate({ immediate }: Instruction): number {
    const body = this.#body;
    switch (immediate) {
      case "none":
        return 0;
      case "block":
        return readBlockType(body, this.#types);
      case "index":
      case "data":
        return body.u32();
      case "branches": {
        const count = body.u32() + 1;
        for (let left = count; left > 0; left--) body.u32();
        return count;
      }
      case "indirect": {
        const type = body.u32();
        expectZero(body, "table");
        return type;
      }
      case "types":
        for (let count = body.u32(); count > 0; count--) readValueType(body);
        return 0;
      case "address":
        return readAddress(body);
      case "memory":
        return expectZero(body, "memory");
      case "memory+memory":
        expectZero(body, "memory");
        return expectZero(body, "memory");
      case "data+memory":
        body.u32();
        return expectZero(body, "memory");
      case "integer":
        body.skipLeb();
        return 0;
      case "float32":
        body.skip(4);
        return 0;
      case "float64":
        body.skip(8);
        return 0;
    }
  }
}

function readBlockType(body: ByteReader, types: number): number {
  const at = body.at;
  const first = body.bytes[at];
  if (first === EMPTY_BLOCK) {
    body.at++;
    return NO_VALUES;
  }
  if ((first & 0xc0) === 0x40) {
    readValueType(body);
    return ONE_VALUE;
  }
  const type = body.u32();
  return type < types ? type : reject("malformed", at, "a block's type does not exist; rebuild the module");
}

function readAddress(body: ByteReader): number {
  const at = body.at;
  if (body.u32() > 3) reject("multi-memory", at, "an access names a memory; build it without multi-memory");
  body.u32();
  return 0;
}

function expectZero(body: ByteReader, what: "memory" | "table"): number {
  const at = body.at;
  if (body.u32() !== 0) reject(`multi-${what}`, at, `it uses a second ${what}; build it with one`);
  return 0;
}

/** Reads a value type that a provider may use. */
export function readValueType(body: ByteReader): string {
  const at = body.at;
  switch (body.byte()) {
    case ValueType.i32:
      return "i32";
    case ValueType.i64:
      return "i64";
    case ValueType.f32:
      return "f32";
    case ValueType.f64:
      return "f64";
    case 0x7b:
      return reject("simd", at, "it uses SIMD vectors; build it without");
    default:
      return reject("gc", at, "it uses reference types as values; build it without reference types and GC");
  }
}
