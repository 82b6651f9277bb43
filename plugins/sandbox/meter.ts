/**
 * Fuel: rewrites function bodies so that they count what they do and stop when nothing is left.
 *
 * Each instruction is charged to the innermost loop or function that holds it, on entry to that. Control goes
 * backwards only to the start of a loop, so nothing runs twice without being charged twice. The counter is a global
 * appended behind the module's own: the module was validated before, so no instruction of it can name it.
 *
 * @module
 */

import { type ByteReader, type ByteWriter, reject, signed, unsigned } from "./bytes.ts";
import { STRUCTURE } from "./limits.ts";
import {
  EMPTY_BLOCK,
  featureOf,
  type Instruction,
  INSTRUCTIONS,
  Op,
  PREFIXED,
  ValueType,
} from "./opcodes.ts";

/** Exports whose names begin so are the guard's own. */
export const RESERVED_PREFIX = "__guard_";
/** The export of the fuel counter, an i32. Below zero: used up. */
export const FUEL_EXPORT = "__guard_fuel";
/** The export of the number of times the memory could not grow, an i32. */
export const GROW_EXPORT = "__guard_grow";

const CALL_COST_PER_LOCALS = 4;
const BULK_BASE_COST = 200;
/** Bytes that one unit of a bulk memory instruction moves, as a shift: 8. */
const BULK_SHIFT = 3;
const GROW_BASE_COST = 4_000;
const GROW_PAGE_COST = 20_000;

/** The indices of what the guard appends. */
export interface Appended {
  /** The fuel counter's global. */
  readonly fuel: number;
  /** The global that counts failed growth. */
  readonly growFailures: number;
  /** The function that charges a bulk memory instruction by its length. */
  readonly charge: number;
  /** The function that stands in for memory.grow. */
  readonly grow: number;
  /** How many types the module has; blocks name them. */
  readonly types: number;
}

/** A change to a function body: at `at`, leave out `skip` bytes and put a tick of `cost` or a call of `helper`. */
interface Edit {
  readonly at: number;
  readonly skip: number;
  readonly helper: number;
  cost: number;
}

/** Reads one function body, checks every instruction, and appends the metered body (with its size) to `out`. */
export function meterBody(body: ByteReader, out: ByteWriter, scratch: ByteWriter, appended: Appended): void {
  const start = body.at;
  if (body.end - start > STRUCTURE.functionBytes) {
    reject(
      "function-size",
      start,
      `a function has ${body.end - start} bytes, ${STRUCTURE.functionBytes} are allowed; split it`,
    );
  }
  const locals = readLocals(body);
  const edits = scan(body, locals, appended);
  scratch.reset();
  let from = start;
  for (const edit of edits) {
    scratch.bytes(body.bytes.subarray(from, edit.at));
    scratch.bytes(edit.helper < 0 ? tick(appended.fuel, edit.cost) : call(edit.helper));
    from = edit.at + edit.skip;
  }
  scratch.bytes(body.bytes.subarray(from, body.end));
  out.sized(scratch.written);
}

function readLocals(body: ByteReader): number {
  const start = body.at;
  let locals = 0;
  for (let groups = body.u32(); groups > 0; groups--) {
    locals += body.u32();
    readValueType(body);
  }
  if (locals > STRUCTURE.locals) {
    reject(
      "locals",
      start,
      `a function has ${locals} local variables, ${STRUCTURE.locals} are allowed; split it`,
    );
  }
  return locals;
}

function scan(body: ByteReader, locals: number, appended: Appended): Edit[] {
  const entry: Edit = {
    at: body.at,
    skip: 0,
    helper: -1,
    cost: 2 + Math.ceil(locals / CALL_COST_PER_LOCALS),
  };
  const edits = [entry];
  // For each open block, who pays for what stands directly in it.
  const payers = [entry];
  while (!body.done) {
    const at = body.at;
    const opcode = readOpcode(body);
    const instruction = lookUp(opcode, at);
    skipImmediate(body, instruction, appended.types);
    const payer = payers[payers.length - 1];
    payer.cost += instruction.cost;
    if (opcode === Op.loop) {
      const header: Edit = { at: body.at, skip: 0, helper: -1, cost: 2 };
      edits.push(header);
      payers.push(header);
    } else if (opcode === Op.block || opcode === Op.if) {
      payers.push(payer);
    } else if (opcode === Op.end) {
      payers.pop();
      if (payers.length === 0 && !body.done) reject("malformed", at, "a function goes on after its end");
    } else if (opcode === Op.memoryGrow) {
      edits.push({ at, skip: body.at - at, helper: appended.grow, cost: 0 });
    } else if (opcode === Op.memoryInit || opcode === Op.memoryCopy || opcode === Op.memoryFill) {
      edits.push({ at, skip: 0, helper: appended.charge, cost: 0 });
    }
  }
  if (payers.length > 0) reject("malformed", body.at, "a function has no end");
  return edits;
}

function readOpcode(body: ByteReader): number {
  const opcode = body.byte();
  return opcode === Op.prefix ? 0xfc00 + body.u32() : opcode;
}

function lookUp(opcode: number, at: number): Instruction {
  const instruction = opcode < 0xfc00 ? INSTRUCTIONS[opcode] : PREFIXED[opcode - 0xfc00];
  if (instruction) return instruction;
  const { rule, feature } = featureOf(opcode);
  return reject(rule, at, `it uses ${feature}; build it without`);
}

function skipImmediate(body: ByteReader, { immediate }: Instruction, types: number): void {
  switch (immediate) {
    case "none":
      return;
    case "block":
      return readBlockType(body, types);
    case "index":
    case "data":
      body.u32();
      return;
    case "branches":
      for (let count = body.u32() + 1; count > 0; count--) body.u32();
      return;
    case "indirect":
      body.u32();
      return expectZero(body, "table");
    case "types":
      for (let count = body.u32(); count > 0; count--) readValueType(body);
      return;
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
      return body.skipLeb();
    case "float32":
      return body.skip(4);
    case "float64":
      return body.skip(8);
  }
}

function readBlockType(body: ByteReader, types: number): void {
  const at = body.at;
  const first = body.bytes[at];
  if (first === EMPTY_BLOCK) {
    body.at++;
  } else if ((first & 0xc0) === 0x40) {
    readValueType(body);
  } else if (body.u32() >= types) {
    reject("malformed", at, "a block's type is not there; rebuild the module");
  }
}

function readAddress(body: ByteReader): void {
  const at = body.at;
  if (body.u32() > 3) reject("multi-memory", at, "an access names a memory; build it without multi-memory");
  body.u32();
}

function expectZero(body: ByteReader, what: "memory" | "table"): void {
  const at = body.at;
  if (body.u32() !== 0) reject(`multi-${what}`, at, `it uses a second ${what}; build it with one`);
}

/** Reads a value type a provider may use. */
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

/** Takes `cost` from the counter and traps when that leaves less than nothing. */
function tick(fuel: number, cost: number): number[] {
  const global = unsigned(fuel);
  return [
    ...[Op.globalGet, ...global, Op.i32Const, ...signed(cost), Op.i32Sub, Op.globalSet, ...global],
    ...[Op.globalGet, ...global, Op.i32Const, 0, Op.i32LtS, Op.if, EMPTY_BLOCK, Op.unreachable, Op.end],
  ];
}

function call(helper: number): number[] {
  return [Op.call, ...unsigned(helper)];
}

/** `(length) -> length`: charges a bulk memory instruction by its length. */
export function chargeHelper({ fuel }: Appended): number[] {
  const global = unsigned(fuel);
  return [
    0, // no locals
    ...tick(fuel, BULK_BASE_COST),
    ...[Op.globalGet, ...global, Op.localGet, 0, Op.i32Const, BULK_SHIFT, Op.i32ShrU, Op.i32Sub],
    ...[Op.globalSet, ...global],
    ...tick(fuel, 0),
    ...[Op.localGet, 0, Op.end],
  ];
}

/** `(pages) -> result`: memory.grow, charged for what it did; counts failures for the host to report. */
export function growHelper({ fuel, growFailures }: Appended): number[] {
  const global = unsigned(fuel), failures = unsigned(growFailures);
  return [
    ...[1, 1, ValueType.i32], // local 1: the result
    ...tick(fuel, GROW_BASE_COST),
    ...[Op.localGet, 0, Op.memoryGrow, 0, Op.localTee, 1, Op.i32Const, ...signed(-1), Op.i32Eq],
    ...[Op.if, EMPTY_BLOCK],
    ...[Op.globalGet, ...failures, Op.i32Const, 1, Op.i32Add, Op.globalSet, ...failures],
    Op.else,
    ...[
      Op.globalGet,
      ...global,
      Op.localGet,
      0,
      Op.i32Const,
      ...signed(GROW_PAGE_COST),
      Op.i32Mul,
      Op.i32Sub,
    ],
    ...[Op.globalSet, ...global],
    Op.end,
    ...tick(fuel, 0),
    ...[Op.localGet, 1, Op.end],
  ];
}
