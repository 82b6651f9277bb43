/**
 * Connections to proxies and hosts, and tunnels: two connections whose bytes are passed on, each as fast as its reader
 * takes them.
 *
 * @module
 */

import { connect, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import { isIpAddress } from "../../contexts/check.ts";
import { ProtocolError, SecureSocketError, TransportError } from "../../errors.ts";
import { isDenied, socketFailure } from "../../ffi/transport/failure.ts";
import { type Destination, hostAndPort, type ProxyAddress } from "./address.ts";

/** Stands for a listener: without one, an error of a connection ends the process. */
export function ignore(): void {}

/**
 * Connects to a proxy. The caller owns the connection, whose directions end separately, and removes the listener
 * `ignore` of its errors.
 */
export async function dial(
  { host, port, secure, label }: ProxyAddress,
  ca: string | Uint8Array | undefined,
  signal: AbortSignal,
): Promise<Socket> {
  signal.throwIfAborted();
  const tls = { servername: isIpAddress(host) ? undefined : host, ca, ALPNProtocols: ["http/1.1"] };
  const socket: Socket = secure
    ? connectTls({ host, port, ...tls } as ConnectionOptions)
    : connect({ host, port, allowHalfOpen: true });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  socket.once(secure ? "secureConnect" : "connect", resolve);
  socket.once("error", reject);
  socket.on("error", ignore);
  try {
    await promise;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 60_000);
    return socket;
  } catch (error) {
    socket.destroy();
    if (signal.aborted) throw error;
    if (isDenied(error)) throw socketFailure(error, `reach proxy ${label}`, hostAndPort({ host, port }));
    throw transportError(`reach proxy ${label}`, error);
  } finally {
    signal.removeEventListener("abort", onAbort);
    socket.off("error", reject);
  }
}

/** Wraps what a runtime says about a failed connection; errors of this library are returned unchanged. */
export function transportError(what: string, error: unknown): Error {
  if (error instanceof SecureSocketError) return error;
  const { code = "unknown", message } = error as { code?: string; message: string };
  if (code.startsWith("HPE_")) {
    const reason = code === "HPE_HEADER_OVERFLOW" ? "oversized" : "malformed";
    return new ProtocolError(reason, `Cannot ${what}: the answer is not HTTP/1.1 (${code})`, {
      cause: error,
    });
  }
  return new TransportError(
    code,
    `Cannot ${what}: ${message}. Check the proxy's address, and that it runs and is reachable`,
    { cause: error },
  );
}

/** Connects to a host. As {@linkcode dial}. */
export async function dialHost({ host, port }: Destination, signal: AbortSignal): Promise<Socket> {
  signal.throwIfAborted();
  const socket = connect({ host, port, allowHalfOpen: true });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onAbort = (): void => reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  socket.on("error", reject);
  socket.once("connect", resolve);
  try {
    await promise;
    socket.setNoDelay(true);
    socket.setKeepAlive(true, 60_000);
    return socket;
  } catch (error) {
    socket.destroy();
    throw signal.aborted ? error : transportError(`connect to ${hostAndPort({ host, port })}`, error);
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
}

/**
 * Passes on what each connection sends to the other. The end of one direction ends that direction alone; a connection
 * that fails ends both. There is no limit of time.
 *
 * @returns a promise that resolves once both are closed.
 */
export function relay(near: Duplex, far: Duplex): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  let open = 2;
  for (const [one, other] of [[near, far], [far, near]]) {
    // The failure of one end is reported to the other by its close.
    one.on("error", () => other.destroy());
    one.on("close", () => {
      if (!one.readableEnded) other.destroy();
      if (--open === 0) resolve();
    });
    one.pipe(other);
  }
  return promise;
}
