/**
 * Reads the machine's policy: a JSON file at a path that only an administrator can write to. The runtime reads it
 * where it has the permission; otherwise the C library reads it, which a system with a grant opens anyway. So an
 * application cannot avoid the policy by not asking for a permission that it needs for nothing else.
 *
 * @module
 */

import type { MachinePolicy } from "../contract.ts";
import type { Calls, LibrarySpec } from "./abi.ts";
import {
  type FileState,
  fileState,
  hasState,
  isLink,
  isNothing,
  isSettled,
  type StatCalls,
} from "./memory/file_state.ts";
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

/** What was read, and what must not have changed for it to hold. */
interface Kept {
  readonly policy: MachinePolicy;
  /** The file, or the folder in which it is absent, as `cString` makes it. */
  readonly watched: Uint8Array;
  readonly state: FileState;
}

/**
 * Reads the machine's policy; never throws, never prompts. Each connection asks for it, so what was read is returned
 * again for as long as `statx` reports the same file, or the same folder that does not contain it. A file that cannot
 * be read, that was changed just now, or whose state is unknown is read each time.
 */
export class MachinePolicyReader {
  readonly #file: PolicyFile;
  #kept: Kept | null = null;

  constructor(file: PolicyFile) {
    this.#file = file;
  }

  read(): MachinePolicy {
    const call = this.#file.native();
    const stat = call?.statx === undefined ? null : call as StatCalls;
    if (stat !== null && this.#kept !== null && hasState(stat, this.#kept.watched, this.#kept.state)) {
      return this.#kept.policy;
    }
    const found = stat === null ? null : nearest(this.#file.path, call!);
    const watched = cString(found ?? "");
    const before = found === null ? null : fileState(stat!, watched);
    const policy = readByRuntime(this.#file.path) ?? readNatively(this.#file, call);
    const holds = before !== null && isSettled(before) && hasState(stat!, watched, before) &&
      (found === this.#file.path ? policy.state === "present" : this.#isMissing(policy, found!, stat!));
    this.#kept = holds ? { policy, watched, state: before } : null;
    return policy;
  }

  /** Whether the file cannot come into being without a change of the folder: a link to nothing can. */
  #isMissing({ state }: MachinePolicy, folder: string, stat: StatCalls): boolean {
    return state === "absent" && isNothing(stat, cString(below(folder, this.#file.path)));
  }
}

/** The part of `path` that names what is in `folder`, which is above it. */
function below(folder: string, path: string): string {
  const end = path.indexOf("/", folder === "/" ? 1 : folder.length + 1);
  return end < 0 ? path : path.slice(0, end);
}

/** The file, or else the nearest folder above it that exists and may be searched; `null`: there is none. */
function nearest(path: string, call: FileCalls): string | null {
  if (call.access(cString(path), EXISTS) === 0) return path;
  for (let end = path.lastIndexOf("/"); end >= 0; end = path.lastIndexOf("/", end - 1)) {
    const folder = path.slice(0, end) || "/";
    if (call.access(cString(folder), SEARCH) === 0) return folder;
    if (call.access(cString(folder), EXISTS) === 0 || end === 0) return null;
  }
  return null;
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
  const text = wide ? wideString : cString;
  const status = call.access(text(path), EXISTS);
  if (status !== 0) {
    const absent = wide ? status === ENOENT : certainlyAbsent(path, call);
    return absent
      ? { state: "absent", path }
      : unreadable(path, "this account is not allowed to look for it, or it is a link to nothing");
  }
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
  const found = nearest(path, call);
  if (found === null || found === path) return false;
  // A link may lead to where this account may not look.
  return call.readlink === undefined || !isLink({ readlink: call.readlink }, cString(below(found, path)));
}
