/**
 * Acquires credentials from the operating system: SSPI on Windows, GSS-API elsewhere.
 *
 * @module
 */

import { readUser } from "../../credentials.ts";
import { acquireGssCredentials } from "./gss/credentials.ts";
import { Gss } from "./gss/gss.ts";
import { checkWellFormed } from "../memory/text.ts";
import type { CredentialsBase, CredentialsRequest, Identity } from "./credentials_base.ts";
import { acquireSspiCredentials } from "./sspi/credentials.ts";
import { Impersonator } from "../windows/impersonation.ts";
import { Sspi } from "./sspi/sspi.ts";
import type { NativeSystem } from "../system.ts";

/** A system's native security library, opened on first use. */
type Native = { readonly gss: Gss } | { readonly sspi: Sspi; readonly impersonator: Impersonator | null };

const natives = new WeakMap<NativeSystem, Native>();

/**
 * Acquires credentials without blocking the event loop.
 *
 * @param signal ends the wait: the native call runs to its end, and what it acquired is then released.
 * @throws TypeError where the identity's name is invalid or ambiguous, or every mechanism is excluded.
 * @throws AuthenticationError where credentials are missing, wrong or expired; PermissionError and
 * UnsupportedPlatformError where the library cannot be opened; the signal's reason, unchanged.
 */
export async function acquireCredentials(
  system: NativeSystem,
  request: CredentialsRequest,
  signal?: AbortSignal,
): Promise<CredentialsBase> {
  if (request.identity !== undefined) request = { ...request, identity: readIdentity(request.identity) };
  if (request.excludeKerberos && (request.excludeNtlm || request.package === "kerberos")) {
    throw new TypeError(
      'excludeKerberos leaves no mechanism: it needs package: "negotiate" and no excludeNtlm',
    );
  }
  signal?.throwIfAborted();
  const acquiring = acquireNative(system, request);
  if (signal === undefined) return await acquiring;
  return await abandonable(acquiring, signal);
}

function acquireNative(system: NativeSystem, request: CredentialsRequest): Promise<CredentialsBase> {
  system.requireOpen();
  let native = natives.get(system);
  if (native === undefined) natives.set(system, native = openNative(system));
  return "gss" in native
    ? acquireGssCredentials(native.gss, request)
    : acquireSspiCredentials(native.sspi, request, native.impersonator);
}

function openNative(system: NativeSystem): Native {
  if (system.platform.os !== "windows") return { gss: new Gss(system) };
  // Opened here, before any impersonation: a library opened during one would be opened as the client.
  const impersonator = system.grants.includes("impersonation") ? new Impersonator(system) : null;
  return { sspi: new Sspi(system), impersonator };
}

/** Returns the result, or throws the signal's reason as soon as it aborts; a later result is closed. */
async function abandonable<T extends { close(): void }>(
  pending: Promise<T>,
  signal: AbortSignal,
): Promise<T> {
  const { promise: abandoned, reject: abandon } = Promise.withResolvers<never>();
  const onAbort = (): void => abandon(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    const result = await Promise.race([pending, abandoned]);
    signal.throwIfAborted();
    return result;
  } catch (error) {
    if (signal.aborted) pending.then((late) => late.close()).catch(() => {});
    throw error;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/**
 * Checks the strings of an identity and reads its user's name. Makes no native call.
 *
 * @throws TypeError where native code would read another user's name or another password: a wrong password counts
 * towards locking the account.
 */
export function readIdentity(identity: Identity): Identity {
  for (const [key, value] of Object.entries(identity)) {
    if (typeof value === "string") checkWellFormed(value, `identity.${key}`);
  }
  if (!("password" in identity)) return identity;
  return { ...readUser(identity, "identity"), password: identity.password };
}
