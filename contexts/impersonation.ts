/**
 * Impersonates a client while one synchronous function runs.
 *
 * @module
 */

import { StateError, UnsupportedPlatformError } from "../errors.ts";
import { finished } from "../ffi/windows/impersonation.ts";
import type { ProviderContext } from "../contract.ts";

/** Whether a function is running as a client. It belongs to the thread, not to a connection. */
let acting = false;

/** Runs `fn` as the client of `context`; see `SecureConn.impersonate`. */
export function runAsClient<T>(
  context: Pick<ProviderContext, "impersonate">,
  role: "client" | "server",
  fn: () => T,
): T {
  // Async functions and generators would continue after the impersonation has ended.
  if (typeof fn !== "function" || Object.prototype.toString.call(fn) !== "[object Function]") {
    throw new TypeError("fn must be a synchronous function: the impersonation ends when it returns");
  }
  if (role === "client") {
    throw new StateError("Only the server of a connection can impersonate, and this end is its client");
  }
  if (!context.impersonate) {
    throw new UnsupportedPlatformError("This provider cannot impersonate its client here", {
      instead: "Act as the server's own account and check what the client may do by conn.peer",
    });
  }
  // Ending the inner one would end the outer one too: the rest of its function would run as the server.
  if (acting) {
    throw new StateError(
      "This thread is already impersonating a client: let that function return before the next " +
        "impersonate()",
    );
  }
  acting = true;
  try {
    return context.impersonate(() => finished(fn()));
  } finally {
    acting = false;
  }
}
