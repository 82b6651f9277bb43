/**
 * Moves bytes between a connection and the standard streams, and what both of its commands share.
 *
 * @module
 */

import type { Credentials, Registry, SecureConn, SecurityInfo } from "../mod.ts";
import type { Io } from "./io.ts";

/** What is read at once. */
const CHUNK_BYTES = 65_536;

/** The options of `connect` and `listen` alike. */
export const CONNECTION_OPTIONS = {
  provider: {
    type: "string",
    choices: ["negotiate", "kerberos"],
    help: "the security provider of both ends (default negotiate)",
  },
  keytab: { type: "string", value: "FILE", help: "authenticate with this key table" },
  quiet: { type: "boolean", short: "q", help: "print nothing on standard error but errors" },
} as const;

/** Returns what the options name: the registry and the credentials. */
export async function connectionTerms(
  { provider, keytab }: { readonly provider?: string; readonly keytab?: string },
): Promise<{ readonly registry: Registry; readonly credentials?: Credentials }> {
  const { createRegistry, kerberos, negotiate } = await import("../mod.ts");
  return {
    registry: createRegistry([provider === "kerberos" ? kerberos() : negotiate()]),
    ...(keytab === undefined
      ? {}
      : { credentials: { keytab: /^\w{2,}:/.test(keytab) ? keytab : `FILE:${keytab}` } }),
  };
}

/** Returns what a connection is protected by, as text. */
export function securityText(
  { mechanism, provider, confidentiality, mutualAuthentication }: SecurityInfo,
): string {
  const by = mechanism === provider ? mechanism : `${mechanism} by ${provider}`;
  return [
    by,
    confidentiality ? "encrypted" : "signed",
    mutualAuthentication === true ? "both ends authenticated" : "the server is not authenticated",
  ].join(", ");
}

/**
 * Sends standard input to the peer and prints what it sends, until the peer has ended its stream. The end of standard
 * input ends this end's stream.
 */
export async function transfer(
  conn: SecureConn,
  io: Io,
  input: AsyncIterator<Uint8Array> | null,
): Promise<void> {
  const failed = Promise.withResolvers<never>();
  const stop = (): void => failed.reject(io.signal.reason);
  io.signal.addEventListener("abort", stop, { once: true });
  // Standard input may stay open for ever; what fails in it counts while the peer's stream is open.
  send(conn, input).catch((error) => failed.reject(error));
  try {
    await Promise.race([receive(conn, io), failed.promise]);
  } finally {
    io.signal.removeEventListener("abort", stop);
    failed.promise.catch(() => {});
  }
}

async function send(conn: SecureConn, input: AsyncIterator<Uint8Array> | null): Promise<void> {
  for (let next = await input?.next(); next !== undefined && !next.done; next = await input!.next()) {
    await conn.write(next.value);
  }
  await conn.closeWrite();
}

async function receive(conn: SecureConn, io: Io): Promise<void> {
  const chunk = new Uint8Array(CHUNK_BYTES);
  for (let length = await conn.read(chunk); length !== null; length = await conn.read(chunk)) {
    await io.write(chunk.subarray(0, length));
  }
}
