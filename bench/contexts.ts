/**
 * What the benches measure of security contexts: handshakes and records, both ends in one process.
 *
 * @module
 */

import type {
  Acceptor,
  Credentials,
  Initiator,
  ProviderCredentials,
  SecurityContext,
  System,
} from "@winsock/secure-sockets";
import type { ContextProvider, ProviderContext } from "@winsock/secure-sockets/plugins";
import { resolveRequirements } from "@winsock/secure-sockets/plugins";
import { used } from "./peer.ts";

const MIB = 1 << 20;
const requirements = resolveRequirements();

/** Something of either end. */
export interface Ends<T> {
  /** The end that speaks first. */
  client: T;
  /** The end that answers. */
  server: T;
}

/** Acquires credentials of both ends. */
export async function acquire(
  provider: ContextProvider,
  system: System,
  credentials?: Credentials,
): Promise<Ends<ProviderCredentials>> {
  return {
    client: await provider.acquire({ role: "client", system, requirements, credentials }),
    server: await provider.acquire({ role: "server", system, requirements }),
  };
}

/** Closes both ends. */
export function close(ends: Ends<{ close(): void }>): void {
  ends.client.close();
  ends.server.close();
}

/** One handshake, as far as asking the client's name, which has to be one where `named` says so. */
export async function shake(
  credentials: Ends<ProviderCredentials>,
  target: string,
  named = true,
): Promise<Ends<ProviderContext>> {
  const client = credentials.client.client({ target });
  const server = credentials.server.server({});
  let { token } = await client.step(null);
  while (!client.done || !server.done) {
    if (!server.done) ({ token } = await server.step(token));
    if (!client.done) ({ token } = await client.step(token));
  }
  if (server.peerName === "" && named) throw new Error("the client has no name");
  return { client, server };
}

/** One exchange through `openInitiator()` and `openAcceptor()`, as far as knowing who the client is. */
export async function exchange(
  initiator: Initiator,
  acceptor: Acceptor,
  target: string,
): Promise<Ends<SecurityContext>> {
  const client = initiator.initiate({ target });
  const server = acceptor.accept();
  let { token } = await client.step();
  while (token !== null) {
    const answer = await server.step(token);
    token = answer.token === null ? null : (await client.step(answer.token)).token;
  }
  if (server.security.peer === "") throw new Error("the client has no name");
  return { client, server };
}

/** What protects a message into a buffer, and opens it there. */
export interface Sealing {
  /** The most bytes that a message grows by. */
  readonly maxOverhead: number;
  /** Protects. */
  wrap(plain: Uint8Array, into: Uint8Array): Uint8Array;
  /** Opens. */
  unwrap(record: Uint8Array): unknown;
}

/** A provider's own context, or a verified one, as far as its messages go. */
export function sealing(context: ProviderContext | SecurityContext): Sealing {
  if (!("security" in context)) return context;
  return {
    maxOverhead: context.maxOverhead,
    wrap: (plain, into) => context.wrap(plain, { into }),
    unwrap: (record) => context.unwrap(record),
  };
}

/** MiB/s of wrap and of unwrap; batches as the programs in C make them. */
export function sealAndOpen(
  ends: Ends<ProviderContext> | Ends<SecurityContext>,
  size: number,
  ms: number,
): number[] {
  const [client, server] = [sealing(ends.client), sealing(ends.server)];
  const plain = new Uint8Array(size).fill(0x78);
  const buffers = Array.from(
    { length: size >= 8192 ? 8 : 256 },
    () => new Uint8Array(size + client.maxOverhead),
  );
  const records: Uint8Array[] = [];
  let wrapping = 0;
  let unwrapping = 0;
  let mib = 0;
  for (const end = performance.now() + ms; mib === 0 || performance.now() < end;) {
    const start = used();
    for (let at = 0; at < buffers.length; at++) records[at] = client.wrap(plain, buffers[at]);
    const middle = used();
    for (let at = 0; at < buffers.length; at++) server.unwrap(records[at]);
    wrapping += middle - start;
    unwrapping += used() - middle;
    mib += buffers.length * size / MIB;
  }
  return [mib / wrapping * 1000, mib / unwrapping * 1000];
}
