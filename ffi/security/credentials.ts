/**
 * Acquires credentials from the operating system: SSPI on Windows, GSS-API elsewhere.
 *
 * @module
 */

import { acquireGssCredentials } from "./gss/credentials.ts";
import { Gss } from "./gss/gss.ts";
import type { CredentialsBase, CredentialsRequest } from "./credentials_base.ts";
import { acquireSspiCredentials } from "./sspi/credentials.ts";
import { Clients } from "./sspi/peer.ts";
import { Sspi } from "./sspi/sspi.ts";
import type { NativeSystem } from "../system.ts";

/** A system's native security library, opened on first use. */
type Native = { readonly gss: Gss } | { readonly sspi: Sspi; readonly clients: Clients | null };

const natives = new WeakMap<NativeSystem, Native>();

/**
 * Acquires credentials without blocking the event loop.
 *
 * @param signal ends the wait: the native call runs to its end, and what it acquired is then released.
 * @throws AuthenticationError where credentials are missing, wrong or expired; PermissionError and
 * UnsupportedPlatformError where the library cannot be opened; the signal's reason, unchanged.
 */
export async function acquireCredentials(
  system: NativeSystem,
  request: CredentialsRequest,
  signal?: AbortSignal,
): Promise<CredentialsBase> {
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
    : acquireSspiCredentials(native.sspi, request, native.clients);
}

function openNative(system: NativeSystem): Native {
  if (system.platform.os !== "windows") return { gss: new Gss(system) };
  // Opened here, before any impersonation: a library opened during one would be opened as the client.
  const clients = system.grants.includes("impersonation") ? new Clients(system) : null;
  return { sspi: new Sspi(system), clients };
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
