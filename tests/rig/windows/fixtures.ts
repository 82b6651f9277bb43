/**
 * Compiles what the tests need in C, with mingw-w64, inside the rig.
 *
 * @module
 */

import type { LibrarySpec } from "../../../ffi/abi.ts";
import { GRANT_LIBRARIES } from "../../../ffi/permissions.ts";
import { mustRun, type RunResult } from "../../../scripts/process.ts";
import { compareTables, type Comparison, oracleSource } from "./oracle.ts";
import { rawTables } from "./raw_tables.ts";
import { REPOSITORY, RUN, WINE, wineEnvironment } from "./wine_paths.ts";

const SOURCES = `${REPOSITORY}/tests/windows/fixtures`;
const FLAGS = [
  "-O2",
  "-Wall",
  "-Wextra",
  "-Werror",
  "-D_WIN32_WINNT=0x0A00",
  "-DNTDDI_VERSION=0x0A000000",
  // The fixture defines what ws2tcpip.h declares as imported.
  "-DWINSOCK_API_LINKAGE=",
  `-I${SOURCES}`,
  // sdk_gaps.h: what the Windows SDK declares and mingw-w64 does not.
  `-I${REPOSITORY}/tests/golden`,
];

/** The compiler's view of `ffi/raw`, as written by the oracle into the run's folder. */
export const COMPILED_TABLES = "win64.json";

/** Runs a program of the rig's system with the rig's environment alone: the caller's TMPDIR does not exist there. */
function inRig(root: string, command: readonly string[]): Promise<RunResult> {
  return mustRun("chroot", [root, ...command], { env: wineEnvironment(), clearEnv: true });
}

function compile(root: string, args: readonly string[]): Promise<unknown> {
  return inRig(root, ["x86_64-w64-mingw32-gcc", ...FLAGS, ...args]);
}

/**
 * Compiles a DLL into the run's folder.
 *
 * @param name the file's name.
 * @param inputs sources, by their paths inside the rig, and libraries.
 */
export async function compileDll(root: string, name: string, inputs: readonly string[]): Promise<void> {
  await compile(root, ["-shared", "-static-libgcc", "-o", `${RUN}/${name}`, ...inputs]);
}

/** The sources of each test double. */
const DOUBLES: { readonly [dll: string]: readonly string[] } = {
  "fwpuclnt.dll": ["fwpuclnt.c", "wfp.c", "sa.c", "call_log.c", "fwpuclnt.def"],
  "ntdsapi.dll": ["ntdsapi.c", "call_log.c", "ntdsapi.def"],
};

/** The system libraries that have a test double. */
export const DOUBLED: readonly string[] = Object.keys(DOUBLES);

/** Compiles the test doubles for system libraries into the run's folder. */
export async function buildDoubles(root: string): Promise<void> {
  for (const [dll, sources] of Object.entries(DOUBLES)) {
    await compileDll(root, dll, [...sources.map((name) => `${SOURCES}/${name}`), "-lws2_32", "-luser32"]);
  }
}

/** The names a careless loader could be tricked with: every system library the library opens. */
const PLANTED = [...new Set(Object.values(GRANT_LIBRARIES).flatMap((places) => places.windows ?? []))]
  .flatMap((spec: LibrarySpec) => spec.files.windows ?? []);

/** Compiles the hostile library into a folder of the run, under each of those names and fwpuclnt.dll. */
export async function buildPlanted(root: string): Promise<void> {
  const folder = `${RUN}/planted`;
  await Deno.mkdir(root + folder, { recursive: true });
  await compileDll(root, "planted/fwpuclnt.dll", [`${SOURCES}/planted.c`]);
  for (const name of PLANTED) {
    if (name !== "fwpuclnt.dll") {
      await Deno.copyFile(`${root}${folder}/fwpuclnt.dll`, `${root}${folder}/${name}`);
    }
  }
}

/**
 * Compiles and runs the layout oracle, and compares `ffi/raw` with it and with the committed copy of its
 * answer, by which machines without a Windows compiler go.
 */
export async function askOracle(root: string, repository: string): Promise<Comparison> {
  try {
    return await compareWithCompiler(root, repository);
  } catch (error) {
    const detail = error instanceof Error ? `${error.message}\n` : String(error);
    return { passed: 0, failed: [{ name: "the oracle compiles and runs", detail }] };
  }
}

async function compareWithCompiler(root: string, repository: string): Promise<Comparison> {
  const ours = await rawTables();
  await Deno.writeTextFile(`${root}${RUN}/oracle.c`, oracleSource(ours));
  await compile(root, ["-o", `${RUN}/oracle.exe`, `${RUN}/oracle.c`]);
  const { stdout } = await inRig(root, [WINE, `${RUN}/oracle.exe`]);
  const compiled = JSON.stringify(JSON.parse(stdout), null, 2) + "\n";
  await Deno.writeTextFile(`${root}${RUN}/${COMPILED_TABLES}`, compiled);
  const outcome = compareTables(ours, JSON.parse(stdout));
  const kept = await Deno.readTextFile(`${repository}/tests/golden/${COMPILED_TABLES}`).catch(() => "");
  const name = `tests/golden/${COMPILED_TABLES} is what the compiler says`;
  if (JSON.stringify(sorted(kept)) === JSON.stringify(sorted(compiled))) {
    return { ...outcome, passed: outcome.passed + 1 };
  }
  const detail = "  it differs; renew it with: deno task test:windows --update-golden\n";
  return { ...outcome, failed: [...outcome.failed, { name, detail }] };
}

/** A JSON text as a value in which the order of names does not matter. */
function sorted(json: string): unknown {
  const order = (value: unknown): unknown =>
    typeof value !== "object" || value === null ? value : Object.fromEntries(
      Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1).map(([k, v]) => [k, order(v)]),
    );
  return json === "" ? null : order(JSON.parse(json));
}
