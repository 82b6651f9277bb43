/**
 * The counter of fuel that the guard appends to a module: the code that subtracts from it, and the functions with
 * which bulk memory instructions and the host do.
 *
 * @module
 */

import { signed, unsigned } from "./bytes.ts";
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
  /**
   * Subtracts the argument from the fuel and returns what is left; below zero: used up, or the guest trapped in a
   * loop that counts in a local variable.
   */
  spend: `${RESERVED_PREFIX}spend`,
  /** Returns how often the memory could not grow. The argument is ignored. */
  failures: `${RESERVED_PREFIX}failures`,
  /** Traps as a guest does that has used up its fuel. The argument is ignored. */
  stop: `${RESERVED_PREFIX}stop`,
} as const;

/** Whether `trap` is that of {@linkcode Counter.stop}, which is given as `stop`: no engine has a code for it. */
export function isStop(trap: unknown, stop: (nothing: number) => number): boolean {
  // JavaScriptCore's messages end with the expression that was evaluated, in brackets.
  const reason = (error: unknown) => (error as Error).message.replace(/ \(.*$/s, "");
  try {
    stop(0);
    return false;
  } catch (error) {
    return reason(error) === reason(trap);
  }
}

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

/** Subtracts `cost` from the counter and traps if the result is negative. */
export function tick(fuel: number, cost: number): number[] {
  const get = [Op.globalGet, ...unsigned(fuel)], set = [Op.globalSet, ...unsigned(fuel)];
  return [...get, Op.i32Const, ...signed(cost), Op.i32Sub, ...set, ...stopBelowZero(get)];
}

/**
 * Divides one by whether the value that `get` puts on the stack is zero or more. The engine makes of it one
 * conditional trap in the middle of straight code, where an `if` with `unreachable` takes twice the time.
 */
function stopBelowZero(get: readonly number[]): number[] {
  return [Op.i32Const, 1, ...get, Op.i32Const, ...signed(-1), Op.i32GtS, Op.i32DivU, Op.drop];
}

/**
 * The code for a loop with the counter in the local variable `variable`: `enter` stands before the loop, `tick` at
 * its start, `leave` behind its end. Meanwhile the global is below zero: without `leave` there is no fuel.
 */
export function localCounter(fuel: number, variable: number) {
  const global = unsigned(fuel), local = unsigned(variable);
  const get = [Op.localGet, ...local];
  return {
    enter: [
      Op.globalGet,
      ...global,
      Op.localTee,
      ...local,
      Op.i32Const,
      ...signed(-1),
      Op.i32Xor,
      Op.globalSet,
      ...global,
    ],
    tick: (cost: number) => [
      ...[...get, Op.i32Const, ...signed(cost), Op.i32Sub, Op.localSet, ...local],
      ...stopBelowZero(get),
    ],
    leave: [...get, Op.globalSet, ...global],
  };
}

/** The helpers that the code of guests calls: their indices, counted from `Appended.helpers`. */
export const Helper = { charge: 0, grow: 1 } as const;

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
    { name: Counter.stop, body: [0, ...stopBelowZero([Op.i32Const, ...signed(-1)]), Op.localGet, 0, Op.end] },
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
