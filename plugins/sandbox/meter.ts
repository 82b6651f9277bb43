/**
 * Fuel: rewrites function bodies so that they count their work and stop when the fuel is used up.
 *
 * Each instruction is charged to the innermost loop or function that contains it, when that is entered. Control
 * goes backwards only to the start of a loop, so nothing runs twice without being charged twice. The counter is a
 * global that is appended after the module's own: the module was validated before, so none of its instructions can
 * refer to it.
 *
 * A loop that nothing leaves but by its end, and in which nothing else uses the counter, has it in a local variable,
 * appended likewise.
 *
 * @module
 */

import { type ByteReader, type ByteWriter, reject, unsigned } from "./bytes.ts";
import { STRUCTURE } from "./limits.ts";
import { type Appended, Helper, localCounter, tick } from "./counter.ts";
import type { CompileWork, FunctionType } from "./compile_work.ts";
import { InstructionReader, readValueType } from "./instructions.ts";
import { Op, ValueType } from "./opcodes.ts";

// The cost of counting itself, and of fetching code that is not in a cache: a module may be one long row of empty
// loops.
const ENTRY_COST = 8;
const LOCALS_PER_UNIT = 4;
/** What is inserted into a body. */
type Kind = "nothing" | "tick" | "enter" | "local tick" | "leave" | "charge" | "grow";

/** A change to a function body: at `at`, omits `skip` bytes and inserts code. */
interface Edit {
  readonly at: number;
  readonly skip: number;
  kind: Kind;
  cost: number;
}

/** A loop that may have the counter in a local variable, as far as it was read. */
interface Candidate {
  /** The edit before it. */
  readonly before: Edit;
  /** The edit at its start. */
  readonly header: Edit;
  /** How many blocks are around it. */
  readonly depth: number;
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
  const code = body.at;
  compile.enter(type, locals.count);
  const edits = scan(body, locals.count, appended, compile);
  const local = localCounter(appended.fuel, type.parameters + locals.count);
  const insert: Record<Kind, (cost: number) => readonly number[]> = {
    "nothing": () => [],
    "tick": (cost) => tick(appended.fuel, cost),
    "enter": () => local.enter,
    "local tick": local.tick,
    "leave": () => local.leave,
    "charge": () => [Op.call, ...unsigned(appended.helpers + Helper.charge)],
    "grow": () => [Op.call, ...unsigned(appended.helpers + Helper.grow)],
  };
  scratch.reset();
  const added = edits.some(({ kind }) => kind === "enter") ? [1, ValueType.i32] : [];
  scratch.u32(locals.groups + added.length / 2).bytes(body.bytes.subarray(locals.at, code)).bytes(added);
  let from = code;
  for (const { at, skip, kind, cost } of edits) {
    scratch.bytes(body.bytes.subarray(from, at)).bytes(insert[kind](cost));
    from = at + skip;
  }
  scratch.bytes(body.bytes.subarray(from, body.end));
  out.sized(scratch.written);
}

/** The local variables: how many, in how many groups, and where the first group is. */
function readLocals(body: ByteReader): { count: number; groups: number; at: number } {
  const start = body.at;
  const groups = body.u32();
  const at = body.at;
  let count = 0;
  for (let left = groups; left > 0; left--) {
    count += body.u32();
    readValueType(body);
  }
  if (count > STRUCTURE.locals) {
    reject(
      "locals",
      start,
      `a function has ${count} local variables, ${STRUCTURE.locals} are allowed; split it`,
    );
  }
  return { count, groups, at };
}

function scan(body: ByteReader, locals: number, appended: Appended, compile: CompileWork): Edit[] {
  const entry: Edit = {
    at: body.at,
    skip: 0,
    kind: "tick",
    cost: ENTRY_COST + Math.ceil(locals / LOCALS_PER_UNIT),
  };
  const edits = [entry];
  // For each open block, the entry to which its instructions are charged.
  const payers = [entry];
  let candidate: Candidate | null = null;
  const reader = new InstructionReader(body, appended.types);
  while (!body.done) {
    const instruction = reader.next();
    const { opcode, at } = reader;
    compile.instruction(reader, instruction);
    const payer = payers[payers.length - 1];
    payer.cost += instruction.cost;
    // Of loops in one another only the innermost: each becomes the candidate in place of the one around it.
    if (candidate && !mayCountLocally(reader, payers.length - 1 - candidate.depth)) candidate = null;
    if (opcode === Op.loop) {
      const before: Edit = { at, skip: 0, kind: "nothing", cost: 0 };
      const header: Edit = { at: body.at, skip: 0, kind: "tick", cost: ENTRY_COST };
      edits.push(before, header);
      candidate = { before, header, depth: payers.length };
      payers.push(header);
    } else if (opcode === Op.block || opcode === Op.if) {
      payers.push(payer);
    } else if (opcode === Op.end) {
      payers.pop();
      if (payers.length === 0 && !body.done) reject("malformed", at, "a function continues after its end");
      if (candidate?.depth === payers.length) {
        candidate.before.kind = "enter";
        candidate.header.kind = "local tick";
        edits.push({ at: body.at, skip: 0, kind: "leave", cost: 0 });
        candidate = null;
      }
    } else if (opcode === Op.memoryGrow) {
      edits.push({ at, skip: body.at - at, kind: "grow", cost: 0 });
    } else if (opcode === Op.memoryInit || opcode === Op.memoryCopy || opcode === Op.memoryFill) {
      edits.push({ at, skip: 0, kind: "charge", cost: 0 });
    }
  }
  if (payers.length > 0) reject("malformed", body.at, "a function has no end");
  return edits;
}

/**
 * Whether an instruction of a loop neither leaves it, nor uses the counter, nor traps as the guard's code does;
 * `depth` is how many blocks are open within the loop.
 */
function mayCountLocally({ opcode, operand }: InstructionReader, depth: number): boolean {
  if (opcode === Op.br || opcode === Op.brIf) return operand <= depth;
  if (opcode >= Op.i32DivS && opcode <= Op.i32RemU || opcode >= Op.i64DivS && opcode <= Op.i64RemU) {
    return false;
  }
  return opcode <= Op.end ||
    opcode >= Op.drop && opcode < Op.prefix && opcode !== Op.memoryGrow;
}
