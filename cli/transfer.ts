/**
 * Moves bytes between a connection and the standard streams, and what both of its commands share.
 *
 * @module
 */

import type { Credentials, Registry, SecureConn, SecurityInfo } from "../mod.ts";
import { UsageError } from "./command.ts";
import { type Io, shown } from "./io.ts";

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

/** Returns the name of a connection's peer, as text. */
export function peerText({ peer }: SecurityInfo, nobody: string): string {
  return peer === null ? nobody : shown(peer);
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
 * Sends input to the peer and prints what it sends; `null`: there is no input. The end of the input ends this end's
 * stream. It ends when both streams have ended: nothing of the input is lost without an error. Somebody at a terminal
 * would have to end the input by hand, so there it ends with the peer's stream.
 */
export async function transfer(
  conn: SecureConn,
  io: Io,
  input: AsyncIterable<Uint8Array> | null,
): Promise<void> {
  const { promise: stopped, reject } = Promise.withResolvers<never>();
  const stop = (): void => reject(io.signal.reason);
  io.signal.addEventListener("abort", stop, { once: true });
  const sent = send(conn, input);
  sent.catch(reject);
  stopped.catch(() => {});
  try {
    const received = receive(conn, io);
    await Promise.race([io.isTerminal.stdin ? received : Promise.all([received, sent]), stopped]);
  } finally {
    io.signal.removeEventListener("abort", stop);
  }
}

async function send(conn: SecureConn, input: AsyncIterable<Uint8Array> | null): Promise<void> {
  for await (const bytes of input ?? []) await conn.write(bytes);
  await conn.closeWrite();
}

async function receive(conn: SecureConn, io: Io): Promise<void> {
  const chunk = new Uint8Array(CHUNK_BYTES);
  for (let length = await conn.read(chunk); length !== null; length = await conn.read(chunk)) {
    await io.write(chunk.subarray(0, length));
  }
}

/** A host and a port. */
export interface Address {
  /** The name or IP address, without brackets; left out: every address of this machine. */
  readonly hostname?: string;
  /** The port, 0 to 65535. */
  readonly port: number;
}

/**
 * Reads `HOST:PORT`, `[IPV6]:PORT`, or a port alone.
 *
 * @throws UsageError where it is none of these.
 */
export function parseAddress(text: string): Address {
  const [, bracketed, plain, digits] = /^(?:(?:\[([\da-fA-F:.]+)\]|([^\s:/[\]]+)):)?(\d{1,5})$/.exec(text) ??
    [];
  const port = Number(digits);
  if (digits === undefined || port > 65_535) {
    throw new UsageError(
      `${JSON.stringify(text)} is not HOST:PORT, for instance web.example.test:7777 or [::1]:7777`,
    );
  }
  const hostname = bracketed ?? plain;
  return { ...(hostname === undefined ? {} : { hostname }), port };
}

/** Returns the text of an address. */
export function addressText({ hostname, port }: Address): string {
  const host = hostname ?? "0.0.0.0";
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
