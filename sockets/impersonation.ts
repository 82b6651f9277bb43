/**
 * Acting as the client, for as long as one synchronous function runs.
 *
 * @module
 */

import { StateError, UnsupportedPlatformError } from "../errors.ts";
import type { MessageContext } from "../plugins/provider.ts";

/** Runs `fn` as the client of `context`; see `SecureConn.impersonate`. */
export function runAsClient<T>(
  context: Pick<MessageContext, "impersonate">,
  role: "client" | "server",
  fn: () => T,
): T {
  // Async functions and generators would run on after the impersonation has ended.
  if (typeof fn !== "function" || Object.prototype.toString.call(fn) !== "[object Function]") {
    throw new TypeError("fn must be a synchronous function: the impersonation ends when it returns");
  }
  if (role === "client") {
    throw new StateError("Only the server of a connection can impersonate, and this is its client");
  }
  if (!context.impersonate) {
    throw new UnsupportedPlatformError("This provider cannot impersonate its client here", {
      instead: "Act as the server's own account and check what the client may do by conn.security.peer",
    });
  }
  return context.impersonate(() => {
    const result = fn();
    if (isThenable(result)) {
      // Its outcome is nobody's: the error below is thrown instead.
      Promise.resolve(result).catch(() => {});
      throw new TypeError(
        "fn returned a promise: the impersonation ends when fn returns, so it must be synchronous",
      );
    }
    return result;
  });
}

function isThenable(value: unknown): boolean {
  return (typeof value === "object" || typeof value === "function") && value !== null &&
    typeof (value as { then?: unknown }).then === "function";
}
