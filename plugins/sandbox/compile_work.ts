/**
 * Estimates what compiling a module costs the engine, without compiling it.
 *
 * The engine's first compiler is linear in the code, except that it visits every local variable and every value on
 * the stack wherever control splits or joins. A function of 64 KiB can make that product block the thread for
 * seconds, at its first call, where fuel does not help. The guard therefore adds up the products, and refuses what
 * is far beyond any real program.
 *
 * @module
 */

import { reject } from "./bytes.ts";
import { type InstructionReader, NO_VALUES, ONE_VALUE } from "./instructions.ts";
import { STRUCTURE } from "./limits.ts";
import { type Instruction, Op } from "./opcodes.ts";

/** A function's type. */
export interface FunctionType {
  /** Its text form, for instance `i32,i32->i64`. */
  readonly signature: string;
  /** How many parameters it has. */
  readonly parameters: number;
  /** How many results it has. */
  readonly results: number;
}

interface Block {
  /** How many values are below it on the stack. */
  readonly base: number;
  readonly parameters: number;
  readonly results: number;
}

/** Where control splits or joins, and how often the compiler then visits every value. */
const JOINS: ReadonlyMap<number, number> = new Map([
  [Op.loop, 3], // with the check of fuel at its head
  [Op.if, 1],
  [Op.else, 1],
  [Op.end, 1],
  [Op.br, 1],
  [Op.brIf, 1],
  [Op.call, 1],
  [Op.callIndirect, 1],
]);

/** Where control really branches. */
const BRANCHES: ReadonlySet<number> = new Set([Op.loop, Op.if, Op.brIf]);

/** Adds up the work of a whole module, one function after another. */
export class CompileWork {
  readonly #types: readonly FunctionType[];
  readonly #functions: readonly FunctionType[];
  #work = 0;
  #locals = 0;
  #height = 0;
  #blocks: Block[] = [];
  #branches = 0;

  /**
   * @param types The types of the module.
   * @param functions The type of each of its functions, imported ones first.
   */
  constructor(types: readonly FunctionType[], functions: readonly FunctionType[]) {
    this.#types = types;
    this.#functions = functions;
  }

  /** The work added up so far. */
  get total(): number {
    return this.#work;
  }

  /** Starts a function with `locals` local variables besides its parameters. */
  enter(type: FunctionType, locals: number): void {
    this.#locals = type.parameters + locals;
    this.#height = 0;
    this.#blocks = [{ base: 0, parameters: 0, results: type.results }];
    this.#branches = 0;
  }

  /**
   * Follows one instruction.
   *
   * @throws ProviderRejectedError if the module needs too much work.
   */
  instruction(reader: InstructionReader, instruction: Instruction): void {
    const joins = reader.opcode === Op.brTable ? reader.operand : JOINS.get(reader.opcode) ?? 0;
    this.#work += joins * (this.#locals + this.#height);
    if (this.#work > STRUCTURE.compileWork) {
      reject(
        "compile-work",
        reader.at,
        "compiling it would take too long: too many branches in functions with too many variables; split them",
      );
    }
    this.#branches += reader.opcode === Op.brTable ? reader.operand : BRANCHES.has(reader.opcode) ? 1 : 0;
    if (this.#branches > STRUCTURE.branches) {
      reject("branches", reader.at, `a function has over ${STRUCTURE.branches} branches; split it`);
    }
    this.#follow(reader, instruction);
  }

  #follow({ opcode, operand }: InstructionReader, { effect }: Instruction): void {
    const block = this.#blocks[this.#blocks.length - 1];
    this.#height = Math.max(block.base, this.#height + effect);
    switch (opcode) {
      case Op.block:
      case Op.loop:
      case Op.if: {
        const { parameters, results } = this.#blockType(operand);
        this.#blocks.push({ base: Math.max(0, this.#height - parameters), parameters, results });
        break;
      }
      case Op.else:
        this.#height = block.base + block.parameters;
        break;
      case Op.end:
        this.#blocks.pop();
        this.#height = block.base + block.results;
        break;
      case Op.call:
        this.#apply(this.#functions[operand], block);
        break;
      case Op.callIndirect:
        this.#apply(this.#types[operand], block);
        break;
      case Op.br:
      case Op.brTable:
      case Op.return:
      case Op.unreachable:
        this.#height = block.base;
        break;
    }
  }

  #apply({ parameters, results }: FunctionType, { base }: Block): void {
    this.#height = Math.max(base, this.#height - parameters) + results;
  }

  #blockType(operand: number): { parameters: number; results: number } {
    if (operand === NO_VALUES) return { parameters: 0, results: 0 };
    return operand === ONE_VALUE ? { parameters: 0, results: 1 } : this.#types[operand];
  }
}
