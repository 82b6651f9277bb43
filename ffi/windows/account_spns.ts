/**
 * Service principal names of accounts, written by a domain controller over RPC: ntdsapi.dll's `DsWriteAccountSpn` and
 * `DsServerRegisterSpn`.
 *
 * @module
 */

import { NativeError, PermissionError, TransportError } from "../../errors.ts";
import type { Library } from "../abi.ts";
import { holding } from "../backends/thread_pool.ts";
import { track } from "../handles.ts";
import { Arena } from "../memory/arena.ts";
import { type Memory, pinned, wideString } from "../memory/memory.ts";
import { struct } from "../memory/struct.ts";
import { DS_SPN, DS_STATUS, NTDSAPI } from "../raw/ntdsapi.ts";
import { UCRTBASE } from "../raw/ucrtbase.ts";
import type { NativeSystem } from "../system.ts";

/** What to do with the SPNs of an account. */
export type SpnOperation = "add" | "remove" | "replace";

/** The values of `DS_SPN_WRITE_OP`. */
const OPERATIONS: { readonly [operation in SpnOperation]: number } = {
  add: DS_SPN.ADD_SPN_OP,
  remove: DS_SPN.DELETE_SPN_OP,
  replace: DS_SPN.REPLACE_SPN_OP,
};
const POINTER = struct("LPCWSTR", { text: "ptr" });
/** Codes that mean: this account may not. */
const DENIED = [5, 8344];

/** A binding to a domain controller (`DsBind`). One owner, which awaits `close()`; closing twice is harmless. */
export class DirectoryBinding implements AsyncDisposable {
  readonly #ntdsapi: Library<typeof NTDSAPI>;
  readonly #memory: Memory;
  readonly #untrack: () => void;
  readonly #release: () => void;
  #handle: bigint | null;

  private constructor(system: NativeSystem, handle: bigint) {
    this.#ntdsapi = system.library("directory", NTDSAPI);
    this.#memory = system.memory("directory", UCRTBASE);
    this.#handle = handle;
    this.#release = system.hold();
    this.#untrack = track("directory binding");
  }

  /**
   * Binds as the account that this process runs as, on another thread.
   *
   * @param domainController its name; left out: one of `domain`, else a global catalog of this computer's forest.
   * @throws PermissionError, UnsupportedPlatformError, StateError (closed); TransportError with the code and what to do.
   */
  static async open(
    system: NativeSystem,
    domainController?: string,
    domain?: string,
  ): Promise<DirectoryBinding> {
    const ntdsapi = system.library("directory", NTDSAPI);
    system.memory("directory", UCRTBASE);
    const release = system.hold();
    const out = pinned(8);
    try {
      const code = await ntdsapi.threaded.DsBindW(optional(domainController), optional(domain), out);
      check("DsBindW", code, `bind to ${domainController ?? domain ?? "a global catalog"}`);
      return new DirectoryBinding(system, new DataView(out.buffer).getBigUint64(0, true));
    } finally {
      release();
    }
  }

  /**
   * Changes the SPNs of the account `distinguishedName`, on another thread. The domain controller writes all or none.
   *
   * @throws PermissionError where the account this process runs as may not; TransportError for other failures.
   */
  async write(operation: SpnOperation, distinguishedName: string, spns: readonly string[]): Promise<void> {
    if (this.#handle === null) throw new TypeError("The binding to the directory was closed");
    const arena = new Arena(this.#memory);
    const pointers = spns.map((spn) => ({ text: arena.wide(spn) }));
    const array = pinned(POINTER.size * Math.max(1, spns.length));
    pointers.forEach((each, index) => POINTER.write(new DataView(array.buffer), each, index * POINTER.size));
    const { DsWriteAccountSpnW } = this.#ntdsapi.threaded;
    const handle = this.#handle;
    const account = wideString(distinguishedName);
    const code = await holding(
      [arena],
      () => DsWriteAccountSpnW(handle, OPERATIONS[operation], account, spns.length, array),
    );
    check("DsWriteAccountSpnW", code, `${operation} ${spns.join(", ")} for ${distinguishedName}`);
  }

  /** Closes it, on another thread. */
  async close(): Promise<void> {
    if (this.#handle === null) return;
    const handle = pinned(8);
    new DataView(handle.buffer).setBigUint64(0, this.#handle, true);
    this.#handle = null;
    try {
      // Its page: it returns NO_ERROR.
      await this.#ntdsapi.threaded.DsUnBindW(handle);
    } finally {
      this.#untrack();
      this.#release();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/**
 * Registers or removes `serviceClass/host` for the DNS and NetBIOS names of this computer, on another thread.
 *
 * @param distinguishedName the account; left out: the one this process runs as, and for LocalSystem the computer's.
 * @throws as {@linkcode DirectoryBinding.write}.
 */
export async function registerHostSpns(
  system: NativeSystem,
  operation: SpnOperation,
  serviceClass: string,
  distinguishedName?: string,
): Promise<void> {
  const ntdsapi = system.library("directory", NTDSAPI);
  const release = system.hold();
  try {
    const code = await ntdsapi.threaded.DsServerRegisterSpnW(
      OPERATIONS[operation],
      wideString(serviceClass),
      optional(distinguishedName),
    );
    check("DsServerRegisterSpnW", code, `${operation} the host's names of class ${serviceClass}`);
  } finally {
    release();
  }
}

function optional(text: string | undefined): Uint8Array | null {
  return text === undefined ? null : wideString(text);
}

function check(fn: string, code: number, doing: string): void {
  if (code === 0) return;
  const known = DS_STATUS[code];
  const cause = new NativeError(fn, code, known?.name ?? `Win32 error ${code}`, "");
  const message = `Cannot ${doing}: ${cause.message}. ${known?.advice ?? `Read: net helpmsg ${code}`}`;
  if (DENIED.includes(code)) {
    throw new PermissionError("directory", "the right to write the SPNs of the account", message, { cause });
  }
  throw new TransportError(cause.codeName, message, { cause });
}
