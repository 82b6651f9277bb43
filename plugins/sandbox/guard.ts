/**
 * The guard: decides whether a provider's module may run, and rewrites it so that it cannot use more than its
 * limits.
 *
 * The order matters. The size is checked first, because everything else takes time in proportion to it. Then the
 * engine validates the original bytes: after rewriting, an invalid index could refer to what the guard appended,
 * and a guest could refill its own fuel. Then everything unneeded is refused (not ignored), memory and table are
 * capped, custom sections are dropped, and every function body is metered.
 *
 * @module
 */

import { ByteReader, ByteWriter, reject } from "./bytes.ts";
import { CompileWork, type FunctionType } from "./compile_work.ts";
import type { ResolvedLimits } from "./limits.ts";
import { type AddedFunction, type Appended, helpers, RESERVED_PREFIX } from "./counter.ts";
import { meterBody, type Metering } from "./meter.ts";
import { Op, ValueType } from "./opcodes.ts";
import {
  type Export,
  readExports,
  readFunctions,
  readImports,
  readTypes,
  type Signature,
} from "./declarations.ts";
import {
  capMemory,
  capTable,
  checkData,
  checkElements,
  type Entries,
  type MemorySize,
  readGlobals,
  Section,
  SECTION_ORDER,
} from "./sections.ts";
import { quoted } from "./wire.ts";

const MAGIC = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];
const FUNCTION_TYPE = 0x60;
const FUNCTION_KIND = 0;

/** What a module must comply with. */
export interface GuardRules {
  /** Bounds of size. */
  readonly limits: ResolvedLimits;
  /** The name of the module that imports come from. */
  readonly importModule: string;
  /** The functions it may import, with their types. */
  readonly imports: ReadonlyMap<string, Signature>;
  /** The functions it must export, with their types. */
  readonly required: ReadonlyMap<string, Signature>;
  /** The functions it may export, with the types they must have. */
  readonly optional: ReadonlyMap<string, Signature>;
}

/** A module that may run. */
export interface GuardedModule {
  /** The rewritten module. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  /** The functions it imports. */
  readonly imports: readonly string[];
  /** Its exports, without the guard's own. */
  readonly exports: readonly string[];
  /** Its memory. */
  readonly memory: MemorySize;
  /** The cost of compiling it, at most `STRUCTURE.compileWork`. */
  readonly compileWork: number;
}

/**
 * Checks `module`, without changing it, against `rules`, and returns the module to compile in its place.
 *
 * @throws ProviderRejectedError that names the broken rule and its offset.
 */
export function guard(module: Uint8Array, rules: GuardRules): GuardedModule {
  checkWhole(module, rules.limits);
  const sections = readSections(module);
  const { types, entries: typeEntries } = readTypes(sections.get(Section.type));
  const imports = readImports(sections.get(Section.import), types, rules.importModule, rules.imports);
  const functions = readFunctions(sections.get(Section.function));
  const memory = capMemory(required(sections, Section.memory, "memory"), rules.limits);
  const globals = readGlobals(sections.get(Section.global));
  const { exports, entries: exportEntries } = readExports(required(sections, Section.export, "exports"));
  const own = functions.map((type) => types[type]);
  checkExports(exports, (index) => own[index - imports.length]?.signature, rules);

  const appended: Appended = {
    fuel: globals.count,
    failures: globals.count + 1,
    helpers: imports.length + functions.length,
    types: types.length,
  };
  const added = helpers(appended);
  const compile = new CompileWork(types, [...imports.map((one) => one.type), ...own]);
  const bodies = new Map<number, Uint8Array>([
    [Section.type, appendType(typeEntries)],
    [Section.function, appendFunctions(functions, types.length, added.length)],
    [Section.memory, memory.body],
    [Section.global, appendGlobals(globals)],
    [Section.export, appendExports(exportEntries, added, appended.helpers)],
    [Section.code, meterCode(required(sections, Section.code, "code"), own, added, appended, compile)],
  ]);
  const table = sections.get(Section.table);
  if (table) bodies.set(Section.table, capTable(table, rules.limits));
  const elements = sections.get(Section.element);
  if (elements) checkElements(elements, rules.limits);
  const data = sections.get(Section.data);
  if (data) checkData(data);
  return {
    bytes: assemble(sections, bodies, module.length),
    imports: [...new Set(imports.map((one) => one.name))],
    exports: exports.map((one) => one.name),
    memory: memory.size,
    compileWork: compile.total,
  };
}

function checkWhole(module: Uint8Array, limits: ResolvedLimits): void {
  if (module.length > limits.moduleBytes) {
    reject(
      "module-size",
      -1,
      `it has ${module.length} bytes, ${limits.moduleBytes} are allowed; build it smaller or set ` +
        "limits.moduleBytes",
    );
  }
  if (MAGIC.some((byte, index) => module[index] !== byte)) {
    reject("not-wasm", 0, "it is not a WebAssembly module of version 1");
  }
  if (!WebAssembly.validate(module as Uint8Array<ArrayBuffer>)) {
    reject("invalid", -1, "the engine reports that it is invalid; rebuild it");
  }
}

/** Finds the sections; drops custom ones and refuses those that a provider must not have. */
function readSections(module: Uint8Array): Map<number, ByteReader> {
  const sections = new Map<number, ByteReader>();
  const reader = new ByteReader(module, MAGIC.length, module.length);
  let last = -1;
  while (!reader.done) {
    const at = reader.at;
    const id = reader.byte();
    const part = reader.part(reader.u32());
    if (id === Section.custom) continue;
    if (id === Section.start) reject("start", at, "it has a start section; export _initialize instead");
    if (id === 13) reject("exceptions", at, "it declares exceptions; build it without them");
    const place = SECTION_ORDER.indexOf(id);
    if (place < 0) reject("section", at, `section ${id} is unknown; build it without new features`);
    if (place <= last) reject("section", at, `section ${id} is out of order; rebuild it`);
    last = place;
    sections.set(id, part);
  }
  return sections;
}

function required(sections: ReadonlyMap<number, ByteReader>, id: number, what: string): ByteReader {
  return sections.get(id) ?? reject("section", -1, `it has no ${what}`);
}

function checkExports(
  exports: readonly Export[],
  signatureOf: (index: number) => Signature | undefined,
  { required, optional }: GuardRules,
): void {
  const byName = new Map(exports.map((one) => [one.name, one]));
  for (const { name, offset } of exports) {
    if (name.startsWith(RESERVED_PREFIX)) {
      reject("reserved-export", offset, `its export ${quoted(name)} has a reserved name; rename it`);
    }
  }
  if (byName.get("memory")?.kind !== "memory") reject("export", -1, 'it must export its memory as "memory"');
  for (const [name, signature] of [...required, ...optional]) {
    const found = byName.get(name);
    if (!found && optional.has(name)) continue;
    if (!found) reject("export", -1, `it must export the function ${name} (${signature}); see abi.md`);
    const actual = found.kind === "function" ? signatureOf(found.index) : found.kind;
    if (actual !== signature) {
      reject(
        "export",
        found.offset,
        `its export ${name} must be a function ${signature} of its own, not ${actual ?? "an import"}`,
      );
    }
  }
}

function appendType({ count, bytes }: Entries): Uint8Array {
  return new ByteWriter().u32(count + 1).bytes(bytes).bytes([
    FUNCTION_TYPE,
    ...[1, ValueType.i32],
    ...[1, ValueType.i32],
  ]).written;
}

function appendFunctions(functions: readonly number[], helperType: number, helpers: number): Uint8Array {
  const out = new ByteWriter().u32(functions.length + helpers);
  for (const type of functions) out.u32(type);
  for (let left = helpers; left > 0; left--) out.u32(helperType);
  return out.written;
}

function appendGlobals({ count, bytes }: Entries): Uint8Array {
  const zero = [ValueType.i32, 1, Op.i32Const, 0, Op.end];
  return new ByteWriter().u32(count + 2).bytes(bytes).bytes(zero).bytes(zero).written;
}

function appendExports(
  { count, bytes }: Entries,
  added: readonly AddedFunction[],
  first: number,
): Uint8Array {
  const named = [...added.entries()].filter(([, { name }]) => name !== undefined);
  const out = new ByteWriter().u32(count + named.length).bytes(bytes);
  for (const [index, { name }] of named) {
    out.sized(new TextEncoder().encode(name)).bytes([FUNCTION_KIND]).u32(first + index);
  }
  return out.written;
}

function meterCode(
  section: ByteReader,
  functions: readonly FunctionType[],
  added: readonly AddedFunction[],
  appended: Appended,
  compile: CompileWork,
): Uint8Array {
  const out = new ByteWriter((section.end - section.at) * 2).u32(section.u32() + added.length);
  const metering: Metering = { out, scratch: new ByteWriter(4096), appended, compile };
  for (const type of functions) meterBody(section.part(section.u32()), type, metering);
  for (const { body } of added) out.sized(body);
  return out.written;
}

function assemble(
  sections: ReadonlyMap<number, ByteReader>,
  rewritten: ReadonlyMap<number, Uint8Array>,
  size: number,
): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter(size * 2).bytes(MAGIC);
  for (const id of SECTION_ORDER) {
    const section = sections.get(id);
    const body = rewritten.get(id) ?? section?.whole;
    if (body) out.bytes([id]).sized(body);
  }
  return out.written;
}
