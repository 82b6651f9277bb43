/**
 * Generates valid WebAssembly modules from a sequence of choices, for property tests of the guard. They always end:
 * loops are counted, and functions call only later functions.
 */

import { signed, unsigned } from "../../plugins/sandbox/bytes.ts";

const FUNCTIONS = 3;
const [I32, I64, F32, F64] = [0x7f, 0x7e, 0x7d, 0x7c];
/** Types: 0 of the exported functions, 1 of a block with two results, 2 of a block with a parameter. */
const TYPES = [[0x60, 2, I32, I32, 1, I64], [0x60, 0, 2, I32, I64], [0x60, 1, I32, 1, I32]];
/** Local variables by type: parameters 0 and 1, then these; 8 to 10 count the loops. */
const LOCALS: Record<number, readonly number[]> = {
  [I32]: [0, 1, 2, 3],
  [I64]: [4, 5],
  [F64]: [6],
  [F32]: [7],
};
const LOCAL_GROUPS = [5, 2, I32, 2, I64, 1, F64, 1, F32, 3, I32];
const COUNTERS = [8, 9, 10];

/** The choices, in order; after the last one, always the first option. */
class Choices {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  below(count: number): number {
    return this.#at < this.#bytes.length ? this.#bytes[this.#at++] % count : 0;
  }

  of<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }

  get spent(): boolean {
    return this.#at >= this.#bytes.length;
  }
}

/** Makes one module. It exports f0, f1, ..., each `(i32, i32) -> i64`, memory, and the globals g0 (i32) and g1 (i64). */
export function generateModule(choices: Uint8Array): Uint8Array<ArrayBuffer> {
  const source = new Choices(choices);
  const bodies = Array.from({ length: FUNCTIONS }, (_, index) => new Body(source, index).bytes());
  const exports = [...bodies.keys()].map((index) => exported(`f${index}`, 0, index));
  exports.push(exported("memory", 2, 0), exported("g0", 3, 0), exported("g1", 3, 1));
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
    ...section(1, vector(TYPES)),
    ...section(3, vector(bodies.map(() => [0]))),
    ...section(4, [1, 0x70, 0, FUNCTIONS]),
    ...section(5, [1, 1, 1, 4]),
    ...section(6, vector([[I32, 1, 0x41, 7, 0x0b], [I64, 1, 0x42, 9, 0x0b]])),
    ...section(7, vector(exports)),
    ...section(9, [1, 0, 0x41, 0, 0x0b, FUNCTIONS, ...bodies.keys()]),
    ...section(12, [2]),
    ...section(10, vector(bodies.map((body) => [...unsigned(body.length), ...body]))),
    ...section(11, vector([[1, 4, 1, 2, 3, 4], [0, 0x41, 8, 0x0b, 3, 9, 9, 9]])),
  ]);
}

function section(id: number, body: readonly number[]): number[] {
  return [id, ...unsigned(body.length), ...body];
}

function vector(entries: readonly (readonly number[])[]): number[] {
  return [...unsigned(entries.length), ...entries.flat()];
}

function exported(name: string, kind: number, index: number): number[] {
  return [name.length, ...new TextEncoder().encode(name), kind, index];
}

/** One function's body. */
class Body {
  readonly #choose: Choices;
  readonly #index: number;

  constructor(choose: Choices, index: number) {
    this.#choose = choose;
    this.#index = index;
  }

  bytes(): number[] {
    return [...LOCAL_GROUPS, ...this.#statements(0), ...this.#i64(0), 0x0b];
  }

  #statements(depth: number): number[] {
    const out: number[] = [];
    for (let left = 1 + this.#choose.below(5); left > 0 && !this.#choose.spent; left--) {
      out.push(...this.#statement(depth));
    }
    return out;
  }

  #statement(depth: number): number[] {
    const simple = [
      () => [0x01],
      () => this.#assign(0x21),
      () => [...this.#i32(depth + 1), 0x24, 0],
      () => [...this.#i64(depth + 1), 0x24, 1],
      () => [...this.#address(), ...this.#i32(depth + 1), this.#choose.of([0x36, 0x3a, 0x3b]), 0, 3],
      () => [...this.#address(), ...this.#i64(depth + 1), this.#choose.of([0x37, 0x3c, 0x3d, 0x3e]), 0, 0],
      () => [...this.#address(), ...this.#i32(depth + 1), ...this.#small(), 0xfc, 11, 0],
      () => [...this.#address(), ...this.#address(), ...this.#small(), 0xfc, 10, 0, 0],
      () => [...this.#address(), 0x41, 0, 0x41, this.#choose.below(6), 0xfc, 8, 0, 0],
      () => [0xfc, 9, 0],
      () => [...this.#i32(depth + 1), 0x1a],
      () => [...this.#i64(depth + 1), 0x0f],
      () => [0x00],
    ];
    if (depth >= 3) return this.#choose.of(simple)();
    const nested = [
      () => [...this.#i32(depth), 0x04, 0x40, ...this.#statements(depth + 1), 0x0b],
      () => [
        ...this.#i32(depth),
        0x04,
        0x40,
        ...this.#statements(depth + 1),
        0x05,
        ...this.#statements(depth + 1),
        0x0b,
      ],
      () => [
        0x02,
        0x40,
        ...this.#statements(depth + 1),
        ...this.#i32(depth),
        0x0d,
        0,
        ...this.#statements(depth + 1),
        0x0b,
      ],
      () => this.#loop(depth),
      () => [
        0x02,
        0x40,
        0x02,
        0x40,
        ...this.#i32(depth),
        0x0e,
        2,
        0,
        1,
        0,
        0x0b,
        ...this.#statements(depth + 1),
        0x0b,
      ],
      () => [0x02, 1, ...this.#i32(depth), ...this.#i64(depth), 0x0b, 0x24, 1, 0x24, 0],
      () => [...this.#i32(depth), 0x02, 2, 0x41, 1, 0x6a, 0x0b, 0x24, 0],
    ];
    return this.#choose.of([...simple.slice(0, -1), ...nested, ...nested])();
  }

  /** A loop that runs one to six times, or is left before that. */
  #loop(depth: number): number[] {
    const counter = COUNTERS[depth];
    const turns = [0x41, 1 + this.#choose.below(6), 0x21, counter];
    const again = [0x20, counter, 0x41, 1, 0x6b, 0x22, counter, 0x41, 0, 0x4a, 0x0d, 0];
    const statements = this.#statements(depth + 1);
    if (this.#choose.below(3) > 0) return [...turns, 0x03, 0x40, ...statements, ...again, 0x0b];
    const leave = [...this.#i32(depth), 0x0d, 1];
    return [...turns, 0x02, 0x40, 0x03, 0x40, ...statements, ...leave, ...again, 0x0b, 0x0b];
  }

  #assign(opcode: number): number[] {
    const type = this.#choose.of([I32, I64, F32, F64]);
    return [...this.#value(type, 1), opcode, this.#choose.of(LOCALS[type])];
  }

  #value(type: number, depth: number): number[] {
    return type === I32 ? this.#i32(depth) : type === I64 ? this.#i64(depth) : this.#float(type, depth);
  }

  #address(): number[] {
    return [...this.#i32(3), 0x41, 0xff, 0x1f, 0x71];
  }

  #small(): number[] {
    return [...this.#i32(3), 0x41, ...signed(127), 0x71];
  }

  #get(type: number): number[] {
    return [0x20, this.#choose.of(LOCALS[type])];
  }

  #i32(depth: number): number[] {
    const leaves = [
      () => [0x41, ...signed(this.#choose.below(256) - 128)],
      () => this.#get(I32),
      () => [0x23, 0],
      () => [0x3f, 0],
    ];
    if (depth >= 4 || this.#choose.spent) return this.#choose.of(leaves)();
    const deeper = depth + 1;
    return this.#choose.of([
      ...leaves,
      () => [...this.#i32(deeper), ...this.#i32(deeper), 0x6a + this.#choose.below(15)],
      () => [...this.#i32(deeper), ...this.#i32(deeper), 0x46 + this.#choose.below(10)],
      () => [...this.#i64(deeper), ...this.#i64(deeper), 0x51 + this.#choose.below(10)],
      () => [...this.#float(F64, deeper), ...this.#float(F64, deeper), 0x61 + this.#choose.below(6)],
      () => [...this.#i32(deeper), this.#choose.of([0x45, 0x67, 0x68, 0x69, 0xc0, 0xc1])],
      () => [...this.#i64(deeper), this.#choose.of([0x50, 0xa7])],
      () => [...this.#float(F64, deeper), ...this.#choose.of([[0xaa], [0xab], [0xfc, 2], [0xfc, 3]])],
      () => [...this.#address(), 0x28, 2, this.#choose.below(8)],
      () => [...this.#address(), this.#choose.of([0x2c, 0x2d, 0x2e, 0x2f]), 0, 1],
      () => [...this.#i32(deeper), ...this.#i32(deeper), ...this.#i32(deeper), 0x1b],
      () => [...this.#i32(deeper), ...this.#i32(deeper), ...this.#i32(deeper), 0x1c, 1, I32],
      () => [...this.#i32(deeper), 0x04, I32, ...this.#i32(deeper), 0x05, ...this.#i32(deeper), 0x0b],
      () => [0x02, I32, ...this.#i32(deeper), 0x0b],
      () => [...this.#i32(deeper), 0x22, this.#choose.of(LOCALS[I32])],
      () => [0x41, this.#choose.below(3), 0x40, 0],
    ])();
  }

  #i64(depth: number): number[] {
    const leaves = [
      () => [0x42, ...signed(this.#choose.below(256) - 128)],
      () => this.#get(I64),
      () => [0x23, 1],
    ];
    if (depth >= 4 || this.#choose.spent) return this.#choose.of(leaves)();
    const deeper = depth + 1;
    const calls = this.#index + 1 < FUNCTIONS
      ? [
        () => [...this.#i32(deeper), ...this.#i32(deeper), 0x10, this.#index + 1],
        () => [...this.#i32(deeper), ...this.#i32(deeper), 0x41, this.#index + 1, 0x11, 0, 0],
      ]
      : [];
    return this.#choose.of([
      ...leaves,
      ...calls,
      () => [...this.#i64(deeper), ...this.#i64(deeper), 0x7c + this.#choose.below(15)],
      () => [...this.#i64(deeper), this.#choose.of([0x79, 0x7a, 0x7b, 0xc2, 0xc3, 0xc4])],
      () => [...this.#i32(deeper), this.#choose.of([0xac, 0xad])],
      () => [...this.#float(F64, deeper), ...this.#choose.of([[0xb0], [0xfc, 6], [0xfc, 7]])],
      () => [...this.#address(), this.#choose.of([0x29, 0x30, 0x32, 0x34]), 0, 2],
      () => [...this.#i32(deeper), 0x04, I64, ...this.#i64(deeper), 0x05, ...this.#i64(deeper), 0x0b],
    ])();
  }

  #float(type: number, depth: number): number[] {
    const wide = type === F64;
    const leaves = [
      () => this.#get(type),
      () => wide ? [0x44, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f] : [0x43, 0, 0, 0xc0, 0x3f],
    ];
    if (depth >= 4 || this.#choose.spent) return this.#choose.of(leaves)();
    const deeper = depth + 1;
    const binary = wide ? 0xa0 : 0x92, unary = wide ? 0x99 : 0x8b;
    return this.#choose.of([
      ...leaves,
      // Not copysign: it would show the sign of a NaN, which an engine may choose differently each time.
      () => [...this.#float(type, deeper), ...this.#float(type, deeper), binary + this.#choose.below(6)],
      () => [...this.#float(type, deeper), unary + this.#choose.below(7)],
      () => [...this.#i32(deeper), wide ? 0xb7 : 0xb2],
      () => [...this.#i64(deeper), wide ? 0xb9 : 0xb4],
      () => wide ? [...this.#float(F32, deeper), 0xbb] : [...this.#float(F64, deeper), 0xb6],
    ])();
  }
}
