/** C in tests: compiled with gcc, run, or opened through the library's own backends. */

import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { findProgram, mustRun } from "../../scripts/process.ts";
import type { Backend } from "../../ffi/abi.ts";
import { denoBackend } from "../../ffi/backends/deno.ts";
import { koffiBackend } from "../../ffi/backends/koffi.ts";
import { currentRuntime } from "../../ffi/permissions.ts";

/** Why C cannot be compiled here; `null` where it can. */
export function noCompiler(): string | null {
  if (process.platform === "win32") return "the C of these tests is for Unix";
  return findProgram("gcc") === null ? "install gcc and libc6-dev" : null;
}

/** Why C that uses Kerberos cannot be compiled here; `null` where it can. */
export function noKerberosHeaders(): string | null {
  return noCompiler() ?? (existsSync("/usr/include/gssapi/gssapi_krb5.h") ? null : "install libkrb5-dev");
}

/** Why this process cannot run a program as another user with fewer permissions; `null` where it can. */
export function cannotChangeUser(): string | null {
  if (process.platform === "win32") return "Windows has no user ids to change to";
  const { status } = spawnSync("/bin/sh", ["-c", "exit 7"], { uid: 65534 });
  return status === 7 ? null : "becoming another user needs CAP_SETUID: run it as root";
}

/** The backend of this runtime. */
export function runtimeBackend(): Backend {
  return currentRuntime() === "deno" ? denoBackend() : koffiBackend();
}

/** A file that is removed with its folder. */
export interface TemporaryFile extends Disposable {
  /** Where it is. */
  readonly path: string;
}

/** Compiles C to a program, or with `-shared` among the arguments to a library. */
export async function compile(source: string, args: readonly string[] = []): Promise<TemporaryFile> {
  const folder = mkdtempSync(join(tmpdir(), "secure-sockets-c-"));
  const path = join(folder, args.includes("-shared") ? "library.so" : "program");
  const remove = (): void => rmSync(folder, { recursive: true, force: true });
  try {
    writeFileSync(join(folder, "source.c"), source);
    await mustRun("gcc", ["-O1", "-fPIC", join(folder, "source.c"), "-o", path, ...args]);
  } catch (error) {
    remove();
    throw error;
  }
  return { path, [Symbol.dispose]: remove };
}
