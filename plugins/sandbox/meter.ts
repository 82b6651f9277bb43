/**
 * Fuel: rewrites function bodies so that they count their work and stop when the fuel is used up.
 *
 * Each instruction is charged to the innermost loop or function that contains it, when that is entered. Control
 * goes backwards only to the start of a loop, so nothing runs twice without being charged twice. The counter is a
 * global that is appended after the module's own: the module was validated before, so none of its instructions can
 * refer to it.
 *
 * @module
 */

import { type ByteReader, type ByteWriter, reject, signed, unsigned } from "./bytes.ts";
import { STRUCTURE } from "./limits.ts";
import type { CompileWork, FunctionType } from "./compile_work.ts";
import { InstructionReader, readValueType } from "./instructions.ts";
import { EMPTY_BLOCK, Op, ValueType } from "./opcodes.ts";

/** The prefix of the names of the guard's own exports. */
export const RESERVED_PREFIX = "__guard_";

/**
 * The functions with which the host accesses the counters, all `(i32) -> i32`; each takes a tenth of the time of an
 * exported global. No instruction of the module can call them: their indices did not exist when it was validated.
 */
export const Counter = {
  /** Sets the fuel to the argument and resets the count of failed growth. */
  refuel: `${RESERVED_PREFIX}refuel`,
  /** Subtracts the argument from the fuel and returns what is left; below zero: used up. */
  spend: `${RESERVED_PREFIX}spend`,
  /** Returns how often the memory could not grow. The argument is ignored. */
  failures: `${RESERVED_PREFIX}failures`,
} as const;

// The cost of counting itself, and of fetching code that is not in a cache: a module may be one long row of empty
// loops.
const ENTRY_COST = 8;
const LOCALS_PER_UNIT = 4;
// A bulk memory instruction is a call into the engine, which takes 0.1 microseconds even for no bytes, and then
// moves eight bytes (as a shift) in the time of one simple instruction.
const BULK_BASE_COST = 200;
const BULK_SHIFT = 3;
// The engine makes a new buffer on each growth, even by nothing, and the system clears the pages when they are
// touched.
const GROW_BASE_COST = 4_000;
const GROW_PAGE_COST = 20_000;

/** The indices of what the guard appends. */
export interface Appended {
  /** The fuel counter's global. */
  readonly fuel: number;
  /** The global that counts failed growth. */
  readonly failures: number;
  /** The first of {@linkcode helpers}. */
  readonly helpers: number;
  /** How many types the module has; blocks refer to them. */
  readonly types: number;
}

/** A change to a function body: at `at`, omits `skip` bytes and inserts a tick of `cost` or a call of `helper`. */
interface Edit {
  readonly at: number;
  readonly skip: number;
  readonly helper: number;
  cost: number;
}

/** The destination of the metered bodies, and what they share. */
export interface Metering {
  /** The code section that is written. */
  readonly out: ByteWriter;
  /** A buffer for one body. */
  readonly scratch: ByteWriter;
  /** The indices of what the guard appends. */
  readonly appended: Appended;
  /** The cost of compiling the bodies. */
  readonly compile: CompileWork;
}

/** Reads one body of a function of type `type`, checks every instruction, and appends the metered body. */
export function meterBody(body: ByteReader, type: FunctionType, metering: Metering): void {
  const { out, scratch, appended, compile } = metering;
  const start = body.at;
  if (body.end - start > STRUCTURE.functionBytes) {
    reject(
      "function-size",
      start,
      `a function has ${body.end - start} bytes, ${STRUCTURE.functionBytes} are allowed; split it`,
    );
  }
  const locals = readLocals(body);
  compile.enter(type, locals);
  const edits = scan(body, locals, appended, compile);
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

function scan(body: ByteReader, locals: number, appended: Appended, compile: CompileWork): Edit[] {
  const entry: Edit = {
    at: body.at,
    skip: 0,
    helper: -1,
    cost: ENTRY_COST + Math.ceil(locals / LOCALS_PER_UNIT),
  };
  const edits = [entry];
  // For each open block, the entry to which its instructions are charged.
  const payers = [entry];
  const reader = new InstructionReader(body, appended.types);
  while (!body.done) {
    const instruction = reader.next();
    const { opcode, at } = reader;
    compile.instruction(reader, instruction);
    const payer = payers[payers.length - 1];
    payer.cost += instruction.cost;
    if (opcode === Op.loop) {
      const header: Edit = { at: body.at, skip: 0, helper: -1, cost: ENTRY_COST };
      edits.push(header);
      payers.push(header);
    } else if (opcode === Op.block || opcode === Op.if) {
      payers.push(payer);
    } else if (opcode === Op.end) {
      payers.pop();
      if (payers.length === 0 && !body.done) reject("malformed", at, "a function continues after its end");
    } else if (opcode === Op.memoryGrow) {
      edits.push({ at, skip: body.at - at, helper: appended.helpers + Helper.grow, cost: 0 });
    } else if (opcode === Op.memoryInit || opcode === Op.memoryCopy || opcode === Op.memoryFill) {
      edits.push({ at, skip: 0, helper: appended.helpers + Helper.charge, cost: 0 });
    }
  }
  if (payers.length > 0) reject("malformed", body.at, "a function has no end");
  return edits;
}

/** Subtracts `cost` from the counter and traps if the result is negative. */
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

const Helper = { charge: 0, grow: 1 } as const;

/** A function that the guard appends, `(i32) -> i32`. */
export interface AddedFunction {
  /** Its local variables and code. */
  readonly body: readonly number[];
  /** The name it is exported with; left out: none. */
  readonly name?: string;
}

/** The functions that the guard appends. */
export function helpers(appended: Appended): AddedFunction[] {
  const fuel = unsigned(appended.fuel), failures = unsigned(appended.failures);
  const spend = [Op.globalGet, ...fuel, Op.localGet, 0, Op.i32Sub, Op.globalSet, ...fuel];
  return [
    { body: chargeHelper(appended) },
    { body: growHelper(appended) },
    {
      name: Counter.refuel,
      body: [
        ...[0, Op.localGet, 0, Op.globalSet, ...fuel, Op.i32Const, 0, Op.globalSet, ...failures],
        ...[Op.i32Const, 0, Op.end],
      ],
    },
    { name: Counter.spend, body: [0, ...spend, Op.globalGet, ...fuel, Op.end] },
    { name: Counter.failures, body: [0, Op.globalGet, ...failures, Op.end] },
  ];
}

/** `(length) -> length`: charges a bulk memory instruction by its length. */
function chargeHelper({ fuel }: Appended): number[] {
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

/** `(pages) -> result`: memory.grow, charged by its result; counts failures for the host to report. */
function growHelper({ fuel, failures: counter }: Appended): number[] {
  const global = unsigned(fuel), failures = unsigned(counter);
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
