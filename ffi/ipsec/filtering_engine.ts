/**
 * A session with the Windows Filtering Platform's engine.
 *
 * @module
 */

import { PermissionError, TransportError } from "../../errors.ts";
import { Arena } from "../memory/arena.ts";
import type { Calls } from "../abi.ts";
import { track } from "../handles.ts";
import { type Memory, pinned } from "../memory/memory.ts";
import type { Grant } from "../permissions.ts";
import { FWPUCLNT } from "../raw/fwpuclnt.ts";
import { UCRTBASE } from "../raw/ucrtbase.ts";
import { FWPM_SESSION0, FWPM_SESSION_FLAG_DYNAMIC, RPC_C_AUTHN_WINNT } from "../raw/wfp.ts";
import { nativeError } from "../status.ts";
import type { NativeSystem } from "../system.ts";

const ERROR_ACCESS_DENIED = 5;
/** What an account needs to read and change the engine's objects. */
const RIGHTS = "membership in Administrators or Network Configuration Operators";

/**
 * The functions of the Windows Filtering Platform, kept open while sessions may be opened, even after the system is
 * closed.
 */
export class Filtering {
  /** The grant that covers it. */
  readonly grant: Grant;
  /** The functions. */
  readonly call: Calls<typeof FWPUCLNT>;
  /** Foreign memory. */
  readonly memory: Memory;
  readonly #system: NativeSystem;

  /** @throws PermissionError, UnsupportedPlatformError, StateError (closed). */
  constructor(system: NativeSystem, grant: Grant) {
    this.grant = grant;
    this.call = system.library(grant, FWPUCLNT).call;
    this.memory = system.memory(grant, UCRTBASE);
    this.#system = system;
  }

  /** Keeps the libraries open until the result is called. */
  hold(): () => void {
    return this.#system.hold();
  }
}

/** A session. Closing a dynamic session removes what it added. One owner; closing twice is harmless. */
export class FilteringEngine implements Disposable {
  /** The functions. */
  readonly call: Calls<typeof FWPUCLNT>;
  /** Foreign memory. */
  readonly memory: Memory;
  readonly #grant: Grant;
  readonly #untrack: () => void;
  readonly #release: () => void;
  #handle: bigint | null;

  /**
   * Opens it.
   *
   * @param dynamic whether closing the session removes what it added.
   * @throws PermissionError with the required group, where the account is not permitted to.
   */
  constructor(filtering: Filtering, dynamic: boolean) {
    this.#grant = filtering.grant;
    this.call = filtering.call;
    this.memory = filtering.memory;
    const session = new Arena(this.memory).put(FWPM_SESSION0, {
      flags: dynamic ? FWPM_SESSION_FLAG_DYNAMIC : 0,
    });
    const out = pinned(8);
    const error = this.call.FwpmEngineOpen0(null, RPC_C_AUTHN_WINNT, null, session, out);
    this.check(error, "FwpmEngineOpen0", "open the filtering engine");
    this.#handle = new DataView(out.buffer).getBigUint64(0, true);
    this.#untrack = track("filtering engine");
    this.#release = filtering.hold();
  }

  /** The engine's handle. */
  get handle(): bigint {
    if (this.#handle === null) throw new TypeError("The filtering engine was closed");
    return this.#handle;
  }

  /** Runs `fn` in a transaction: everything it adds is added, or nothing. */
  transact(fn: () => void): void {
    const { call } = this;
    this.check(call.FwpmTransactionBegin0(this.handle, 0), "FwpmTransactionBegin0", "begin a transaction");
    try {
      fn();
    } catch (error) {
      call.FwpmTransactionAbort0(this.handle);
      throw error;
    }
    this.check(call.FwpmTransactionCommit0(this.handle), "FwpmTransactionCommit0", "commit a transaction");
  }

  /** Throws for an error. */
  check(error: number, fn: string, doing: string): void {
    if (error === 0) return;
    const cause = nativeError(fn, error);
    const message = `Cannot ${doing}: ${cause.message}`;
    if (error === ERROR_ACCESS_DENIED) {
      throw new PermissionError(this.#grant, RIGHTS, `${message}. It needs ${RIGHTS}`, { cause });
    }
    throw new TransportError(cause.codeName, `${message}. Check that the service BFE is running`, { cause });
  }

  /** Closes it. */
  close(): void {
    if (this.#handle === null) return;
    this.call.FwpmEngineClose0(this.#handle);
    this.#handle = null;
    this.#untrack();
    this.#release();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
