/**
 * Reads the machine's policy: a JSON file at a path that only an administrator can write to. The runtime reads it
 * where it has the permission; otherwise the C library reads it, which a system with a grant opens anyway. So an
 * application cannot avoid the policy by not asking for a permission that it needs for nothing else.
 *
 * @module
 */

import type { MachinePolicy } from "../contract.ts";
import type { Calls, LibrarySpec } from "./abi.ts";
import { type FileState, fileState, isSameState, isSettled, type StatCalls } from "./memory/file_state.ts";
import { cString, type FILE_FNS, pinned, wideString } from "./memory/memory.ts";
import { currentRuntime } from "./permissions.ts";

/** The path of the policy, by operating system. */
export const MACHINE_POLICY_PATHS: { readonly [os: string]: string } = {
  windows: "C:\\Program Files\\secure-sockets\\policy.json",
  linux: "/etc/secure-sockets/policy.json",
  darwin: "/Library/Application Support/secure-sockets/policy.json",
  other: "/etc/secure-sockets/policy.json",
};

/** A policy larger than this is refused. */
const MAX_BYTES = 65536;

interface Files {
  Deno?: {
    permissions: { querySync(query: { name: "read"; path: string }): { state: string } };
    readFileSync(path: string): Uint8Array;
  };
  process?: {
    getBuiltinModule(name: "node:fs"): { readFileSync(path: string): Uint8Array };
  };
}

/** The C library's file functions; `statx` on Linux. */
export type FileCalls =
  & Calls<Omit<LibrarySpec, "fns"> & { readonly fns: typeof FILE_FNS }>
  & Partial<StatCalls>;

/** How the machine's policy is read. */
export interface PolicyFile {
  /** Its path. */
  readonly path: string;
  /** Returns the C library's file functions, or `null` where no library can be opened. */
  readonly native: () => FileCalls | null;
  /** Whether those functions take UTF-16, as on Windows. */
  readonly wide: boolean;
}

/**
 * Reads the machine's policy; never throws, never prompts. Each connection asks for it, so what was read is returned
 * again for as long as the C library says that the file is absent still, or has not changed. A file that cannot be
 * read, that was changed just now, or whose state cannot be told is read each time.
 */
export class MachinePolicyReader {
  readonly #file: PolicyFile;
  #kept: { readonly policy: MachinePolicy; readonly state: FileState | null } | null = null;

  constructor(file: PolicyFile) {
    this.#file = file;
  }

  read(): MachinePolicy {
    const call = this.#file.native();
    if (this.#kept !== null && call !== null && this.#isUnchanged(this.#kept, call)) return this.#kept.policy;
    const before = this.#state(call);
    const policy = readByRuntime(this.#file.path) ?? readNatively(this.#file, call);
    this.#kept = policy.state === "absent" ? { policy, state: null } : null;
    const after = policy.state === "present" ? this.#state(call) : null;
    if (before !== null && after !== null && isSameState(before, after) && isSettled(after)) {
      this.#kept = { policy, state: after };
    }
    return policy;
  }

  #state(call: FileCalls | null): FileState | null {
    return call?.statx === undefined ? null : fileState(call as StatCalls, this.#file.path);
  }

  #isUnchanged(
    { policy, state }: { policy: MachinePolicy; state: FileState | null },
    call: FileCalls,
  ): boolean {
    if (policy.state === "absent") return look(this.#file, call) === "absent";
    const now = this.#state(call);
    return state !== null && now !== null && isSameState(state, now);
  }
}

function unreadable(path: string, reason: string): MachinePolicy {
  return { state: "unreadable", path, reason };
}

function present(path: string, bytes: Uint8Array): MachinePolicy {
  if (bytes.length > MAX_BYTES) return unreadable(path, `it is longer than ${MAX_BYTES} bytes`);
  try {
    return { state: "present", path, text: new TextDecoder("utf-8", { fatal: true }).decode(bytes) };
  } catch {
    return unreadable(path, "it is not UTF-8");
  }
}

function readByRuntime(path: string): MachinePolicy | undefined {
  const { Deno, process } = globalThis as Files;
  const deno = currentRuntime() === "deno";
  if (deno && Deno!.permissions.querySync({ name: "read", path }).state !== "granted") return undefined;
  try {
    const files = deno ? Deno! : process!.getBuiltinModule("node:fs");
    return present(path, files.readFileSync(path));
  } catch (error) {
    const { code, name, message } = error as Error & { code?: string };
    if (code === "ENOENT" || code === "ENOTDIR" || name === "NotFound") return { state: "absent", path };
    if (code === "ERR_ACCESS_DENIED") return undefined;
    return unreadable(path, message);
  }
}

function readNatively({ path, wide }: PolicyFile, call: FileCalls | null): MachinePolicy {
  if (call === null) {
    const flag = currentRuntime() === "deno" ? "--allow-read" : "--allow-fs-read";
    return { state: "unread", path, reason: `to look for it, run with ${flag}=${path}` };
  }
  const found = look({ path, wide }, call);
  if (found === "absent") return { state: "absent", path };
  if (found === "hidden") return unreadable(path, "this account is not allowed to look for it");
  const text = wide ? wideString : cString;
  const stream = call.fopen(text(path), text("rb"));
  if (stream === 0n) return unreadable(path, "this account is not allowed to read it");
  try {
    const buffer = pinned(MAX_BYTES + 1);
    const length = Number(call.fread(buffer, 1n, BigInt(buffer.length), stream));
    return present(path, buffer.subarray(0, length));
  } finally {
    call.fclose(stream);
  }
}

/** Whether a file is there; `hidden`: that cannot be known. */
function look({ path, wide }: Omit<PolicyFile, "native">, call: FileCalls): "there" | "absent" | "hidden" {
  const name = wide ? wideString(path) : cString(path);
  const status = call.access(name, EXISTS);
  if (status === 0) return "there";
  return (wide ? status === ENOENT : certainlyAbsent(path, call)) ? "absent" : "hidden";
}

/** Modes of `access`. */
const EXISTS = 0;
const SEARCH = 1;
/** The error that `_waccess_s` returns for a file that does not exist. */
const ENOENT = 2;

/**
 * Whether a file that `access` did not find does not exist, rather than being in a folder that may not be searched: a
 * foreign call returns no error code, so the parent folders are checked. Fails closed.
 */
function certainlyAbsent(path: string, call: FileCalls): boolean {
  for (let end = path.lastIndexOf("/"); end >= 0; end = path.lastIndexOf("/", end - 1)) {
    const folder = cString(path.slice(0, end) || "/");
    if (call.access(folder, SEARCH) === 0) return true;
    if (call.access(folder, EXISTS) === 0 || end === 0) return false;
  }
  return false;
}
