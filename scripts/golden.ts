/**
 * `deno run -A scripts/golden.ts`: updates `tests/golden/win64.json` with what a C compiler reports for the structs and
 * constants of the Winsock tables. The compiler's answer is read out of the object file, so nothing is run and no
 * Windows is needed: only `x86_64-w64-mingw32-gcc` (Debian: gcc-mingw-w64-x86-64).
 *
 * It does not change the other values in that file, which are not constants of the language and were
 * reported by a program that ran on Windows or under Wine (`tests/rig/windows/oracle.ts`). Use it after a change of these tables
 * on a machine with neither. It prints every name whose value has changed.
 *
 * @module
 */

import * as fwpuclnt from "../ffi/raw/fwpuclnt.ts";
import * as kernel32 from "../ffi/raw/kernel32.ts";
import * as mswsock from "../ffi/raw/mswsock.ts";
import * as oleaut32 from "../ffi/raw/oleaut32.ts";
import * as wfp from "../ffi/raw/wfp.ts";
import * as winsockStatus from "../ffi/raw/winsock_status.ts";
import * as ws2_32 from "../ffi/raw/ws2_32.ts";
import { mustRun } from "./process.ts";
import { cleanUpWhenInterrupted, temporaryFolder } from "./temporary.ts";
import { isStruct, type Layout, layout, type RawTables, rawTables } from "../tests/rig/windows/raw_tables.ts";
import { ROOT } from "./root.ts";

const GOLDEN = `${ROOT}tests/golden/`;
const HEADERS = [
  "winsock2.h",
  "ws2tcpip.h",
  "mswsock.h",
  "mstcpip.h",
  "windows.h",
  "oleauto.h",
  "rpc.h",
  "fwpmu.h",
];
const TABLES: readonly object[] = [ws2_32, mswsock, fwpuclnt, wfp, kernel32, oleaut32, winsockStatus];

/** The values of the tables in `ffi/raw`. */
export function ourTables(): RawTables {
  const structs: Record<string, Layout> = {};
  const constants: Record<string, string> = {};
  for (const table of TABLES) {
    for (const [key, value] of Object.entries(table)) {
      if (isStruct(value)) structs[value.name] = layout(value);
      else if (typeof value === "number" || typeof value === "bigint") constants[key] = String(value);
      else if (key === "WINSOCK_STATUS") {
        for (const [code, entry] of Object.entries(value as { [code: string]: { name: string } })) {
          constants[entry.name] = code;
        }
      } else if (isNumbers(value)) {
        for (const [field, number] of Object.entries(value)) {
          constants[`${key}_${field}`] = String(number);
        }
      }
    }
  }
  return { structs, constants };
}

function isNumbers(value: unknown): value is { [name: string]: number } {
  return typeof value === "object" && value !== null &&
    Object.values(value).every((inner) => typeof inner === "number");
}

/** Every number that is asked of the compiler, in order, as C expressions. */
function questions({ structs, constants }: RawTables): string[] {
  const layouts = Object.entries(structs).flatMap(([name, { fields }]) => [
    `sizeof(${name})`,
    ...Object.entries(fields).flatMap(([field, { size }]) => [
      `offsetof(${name}, ${field})`,
      // sizeof a flexible tail does not compile: it has no size.
      size === 0 ? "0" : `sizeof(((${name} *)0)->${field})`,
    ]),
  ]);
  return [...layouts, ...Object.keys(constants)];
}

/** The compiler's values for the same names. */
async function compilersTables(ours: RawTables): Promise<RawTables> {
  await using temporary = await temporaryFolder("golden");
  const folder = temporary.path;
  const source = `#define WIN32_LEAN_AND_MEAN\n#include <stddef.h>\n${
    HEADERS.map((header) => `#include <${header}>`).join("\n")
  }\n#include "sdk_gaps.h"
__attribute__((section(".golden"), used)) const unsigned long long golden[] = {
${questions(ours).map((question) => `  (unsigned long long)(${question}),`).join("\n")}
};\n`;
  await Deno.writeTextFile(`${folder}/golden.c`, source);
  const flags = ["-D_WIN32_WINNT=0x0A00", "-DNTDDI_VERSION=0x0A000000", `-I${GOLDEN}`];
  await mustRun("x86_64-w64-mingw32-gcc", [
    ...flags,
    "-c",
    `${folder}/golden.c`,
    "-o",
    `${folder}/golden.o`,
  ]);
  const bin = `${folder}/golden.bin`;
  await mustRun("x86_64-w64-mingw32-objcopy", [
    "-O",
    "binary",
    "-j",
    ".golden",
    `${folder}/golden.o`,
    bin,
  ]);
  return answers(ours, new DataView((await Deno.readFile(bin)).buffer));
}

function answers(ours: RawTables, view: DataView): RawTables {
  let at = 0;
  const next = (): bigint => view.getBigUint64((at += 8) - 8, true);
  const structs = Object.entries(ours.structs).map(([name, { fields }]) => {
    const size = Number(next());
    const read = Object.keys(fields).map((field) =>
      [field, { offset: Number(next()), size: Number(next()) }] as const
    );
    return [name, { size, fields: Object.fromEntries(read) }] as const;
  });
  const constants = Object.keys(ours.constants).map((name) => [name, String(next())] as const);
  return { structs: Object.fromEntries(structs), constants: Object.fromEntries(constants) };
}

/** The saved values, replaced by the compiled ones. */
export interface Renewal {
  /** What is to be kept from now on. */
  readonly tables: RawTables;
  /** Names whose value differs from the saved one. */
  readonly changed: readonly string[];
}

/** Replaces saved values by compiled ones, and removes those that `ours`, all values of `ffi/raw`, does not have. */
export function renew(kept: RawTables, compiled: RawTables, ours: RawTables): Renewal {
  const changed: string[] = [];
  const part = <T>(before: { [name: string]: T }, now: { [name: string]: T }, named: object) => {
    const all = { ...before, ...now };
    for (const name of Object.keys(now)) {
      const known = Object.hasOwn(before, name);
      if (known && JSON.stringify(before[name]) !== JSON.stringify(now[name])) changed.push(name);
    }
    return Object.fromEntries(Object.entries(all).filter(([name]) => Object.hasOwn(named, name)));
  };
  const structs = part(kept.structs, compiled.structs, ours.structs);
  const constants = part(kept.constants, compiled.constants, ours.constants);
  return { tables: { structs, constants }, changed };
}

if (import.meta.main) {
  cleanUpWhenInterrupted();
  const path = `${GOLDEN}win64.json`;
  const compiled = await compilersTables(ourTables());
  const kept: RawTables = JSON.parse(await Deno.readTextFile(path));
  const { tables, changed } = renew(kept, compiled, await rawTables());
  await Deno.writeTextFile(path, JSON.stringify(tables, null, 2) + "\n");
  const [structs, constants] = [compiled.structs, compiled.constants].map((each) => Object.keys(each).length);
  console.log(
    `tests/golden/win64.json: ${structs} structs and ${constants} constants of the Winsock tables`,
  );
  for (const name of changed) console.log(`  ${name} was another`);
}
