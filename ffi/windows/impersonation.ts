/**
 * Impersonates a client on this thread: enters and leaves the impersonation, and checks the thread's token after
 * both. All of it is synchronous.
 *
 * @module
 */

import { AuthenticationError, type NativeError, SecurityRequirementError, StateError } from "../../errors.ts";
import type { Calls } from "../abi.ts";
import { pinned } from "../memory/memory.ts";
import { ADVAPI32, TOKEN } from "../raw/advapi32.ts";
import { KERNEL32 } from "../raw/kernel32.ts";
import type { ImpersonationLevel } from "../../contract.ts";
import { nativeError } from "../status.ts";
import type { NativeSystem } from "../system.ts";

/** `SECURITY_IMPERSONATION_LEVEL`, in its own order. */
const LEVELS: readonly ImpersonationLevel[] = ["anonymous", "identify", "impersonate", "delegate"];

/** Runs functions as another account. Its libraries are opened before any impersonation. */
export class Impersonator {
  readonly #advapi: Calls<typeof ADVAPI32>;
  readonly #kernel: Calls<typeof KERNEL32>;

  constructor(system: NativeSystem) {
    this.#advapi = system.library("impersonation", ADVAPI32).call;
    this.#kernel = system.library("impersonation", KERNEL32).call;
  }

  /**
   * Runs `fn` between `enter` and `leave` and checks both. Refuses a thread that has a token already: leaving removes
   * the thread's token, and the rest of the outer function would run with the process's rights.
   *
   * Where leaving fails, the process ends: otherwise it would continue with the client's rights, and an exception can
   * be caught.
   *
   * @param level the least level the client must have granted.
   * @throws StateError where this thread is impersonating already; neither `enter` nor `fn` was called.
   */
  run<T>(enter: () => void, leave: () => boolean, level: ImpersonationLevel, fn: () => T): T {
    this.#requireNobody();
    enter();
    try {
      this.#requireLevel(level);
      return finished(fn());
    } finally {
      if (!this.#isBack(leave)) this.#endProcess();
    }
  }

  /** Whether leaving worked and was verified; an error in the check means that it was not. */
  #isBack(leave: () => boolean): boolean {
    try {
      return leave() && this.#tokenOfThread() === null;
    } catch {
      return false;
    }
  }

  #requireNobody(): void {
    const token = this.#tokenOfThread();
    if (token === null) return;
    this.#kernel.CloseHandle(token);
    throw new StateError(
      "This thread is already impersonating a client: let that function return before the next impersonate()",
    );
  }

  #requireLevel(level: ImpersonationLevel): void {
    const token = this.#tokenOfThread();
    if (token === null) {
      throw new AuthenticationError("other", "Cannot impersonate: this thread has no client's token");
    }
    const got = LEVELS[this.#levelOf(token)];
    if (LEVELS.indexOf(got) < LEVELS.indexOf(level)) {
      throw new SecurityRequirementError(
        "impersonation",
        got,
        `The client is impersonated at level "${got}", and "${level}" was required. The account may lack ` +
          "SeImpersonatePrivilege, or the client allows no more",
      );
    }
  }

  #levelOf(token: bigint): number {
    const level = pinned(8);
    const ok = this.#advapi.GetTokenInformation(
      token,
      TOKEN.IMPERSONATION_LEVEL,
      level.subarray(0, 4),
      4,
      level.subarray(4),
    );
    const code = ok === 0 ? this.#kernel.GetLastError() : 0;
    this.#kernel.CloseHandle(token);
    if (ok === 0) throw unknown("the level of the client's token", nativeError("GetTokenInformation", code));
    return new DataView(level.buffer).getUint32(0, true);
  }

  /** The thread's token; `null`: none, which only ERROR_NO_TOKEN proves. */
  #tokenOfThread(): bigint | null {
    const out = pinned(8);
    const ok = this.#advapi.OpenThreadToken(TOKEN.CURRENT_THREAD, TOKEN.QUERY, 1, out);
    // No other call may come between the call and reading its last error.
    const code = ok === 0 ? this.#kernel.GetLastError() : 0;
    if (ok !== 0) return new DataView(out.buffer).getBigUint64(0, true);
    if (code === TOKEN.ERROR_NO_TOKEN) return null;
    throw unknown("this thread's token", nativeError("OpenThreadToken", code));
  }

  #endProcess(): never {
    console.error("secure-sockets: reverting to the process's own account failed; ending the process");
    this.#kernel.TerminateProcess(TOKEN.CURRENT_PROCESS, 70);
    throw new Error("TerminateProcess returned");
  }
}

function unknown(what: string, cause: NativeError): AuthenticationError {
  return new AuthenticationError("other", `Cannot read ${what}: ${cause.message}`, { cause });
}

/**
 * Refuses a result of a function whose work is not complete: a promise, or an iterator, whose body runs when a value
 * is requested. The outcome of a refused promise is ignored.
 *
 * @returns the result.
 * @throws TypeError
 */
export function finished<T>(result: T): T {
  if ((typeof result !== "object" && typeof result !== "function") || result === null) return result;
  const { then, next, [Symbol.asyncIterator]: asyncIterator } = result as {
    readonly then?: unknown;
    readonly next?: unknown;
    readonly [Symbol.asyncIterator]?: unknown;
  };
  if (typeof then === "function") {
    Promise.resolve(result).catch(() => {});
    throw unfinished("a promise");
  }
  if (typeof next === "function" || asyncIterator !== undefined) throw unfinished("an iterator");
  return result;
}

function unfinished(what: string): TypeError {
  return new TypeError(
    `fn returned ${what}: the impersonation ends when fn returns, so it must be synchronous and return its ` +
      "final result",
  );
}
