/**
 * The library as a peer of the bench, on Deno from its sources and on Node as it is installed: the measures of
 * `gss_bench.c`, and streams.
 *
 * @module
 */

import process from "node:process";
import {
  connect,
  createRegistry,
  kerberos,
  listen,
  type MessageContext,
  type MessageCredentials,
  type MessageProvider,
  negotiate,
  openSystem,
  type SecureConn,
} from "@winsock/secure-sockets";
import { resolveRequirements } from "@winsock/secure-sockets/plugins";
import { rate, serve, used } from "./peer.ts";

const TARGET = "HTTP/localhost";
const MIB = 1 << 20;
const system = openSystem({ grants: ["sspi"] });
const requirements = resolveRequirements();
const providers: { [name: string]: MessageProvider } = { kerberos: kerberos(), negotiate: negotiate() };

interface Ends<T> {
  client: T;
  server: T;
}

async function acquire(provider: MessageProvider, cache: string): Promise<Ends<MessageCredentials>> {
  const credentials = cache === "memory" ? { keytab: process.env.KRB5_CLIENT_KTNAME! } : undefined;
  return {
    client: await provider.acquire({ role: "client", system, requirements, credentials }),
    server: await provider.acquire({ role: "server", system, requirements }),
  };
}

function close(ends: Ends<{ close(): void }>): void {
  ends.client.close();
  ends.server.close();
}

/** One handshake, as far as knowing the client's name. */
async function shake(credentials: Ends<MessageCredentials>): Promise<Ends<MessageContext>> {
  const client = credentials.client.client({ target: TARGET });
  const server = credentials.server.server({});
  let { token } = await client.step(null);
  while (!client.done || !server.done) {
    if (!server.done) ({ token } = await server.step(token));
    if (!client.done) ({ token } = await client.step(token));
  }
  if (server.peerName === "") throw new Error("the client has no name");
  return { client, server };
}

async function handshakes([name, cache]: readonly string[], ms: number): Promise<number[]> {
  const credentials = await acquire(providers[name], cache);
  const perSecond = await rate(ms, async () => close(await shake(credentials)));
  close(credentials);
  return [perSecond];
}

async function newHandshakes([name, cache]: readonly string[], ms: number): Promise<number[]> {
  return [
    await rate(ms, async () => {
      const credentials = await acquire(providers[name], cache);
      close(await shake(credentials));
      close(credentials);
    }),
  ];
}

/** MiB/s of wrap and of unwrap; batches as `gss_bench.c` makes them. */
async function seal([name, words]: readonly string[], ms: number): Promise<number[]> {
  const size = Number(words);
  const credentials = await acquire(providers[name], "file");
  const { client, server } = await shake(credentials);
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
  close({ client, server });
  close(credentials);
  return [mib / wrapping * 1000, mib / unwrapping * 1000];
}

async function openConnection(name: string): Promise<Ends<SecureConn>> {
  const registry = createRegistry([providers[name]]);
  // Not `await using`: Node 22 does not know it.
  const listener = await listen({ hostname: "127.0.0.1", port: 0, registry, system });
  try {
    const { port } = listener.addr;
    const connecting = connect({ hostname: "127.0.0.1", port, target: TARGET, registry, system });
    const [client, server] = await Promise.all([connecting, listener.accept()]);
    return { client, server };
  } finally {
    await listener.close();
  }
}

/** MiB/s through a connection over loopback, whose one end writes while the other reads. */
async function stream([name, words]: readonly string[], ms: number): Promise<number[]> {
  const chunk = new Uint8Array(Number(words)).fill(0x78);
  const { client, server } = await openConnection(name);
  const start = used();
  const writing = (async () => {
    for (const end = performance.now() + ms; performance.now() < end;) await client.write(chunk);
    await client.closeWrite();
  })();
  const into = new Uint8Array(chunk.length);
  let bytes = 0;
  for (let read; (read = await server.read(into)) !== null;) bytes += read;
  const seconds = (used() - start) / 1000;
  await writing;
  await Promise.all([client.close(), server.close()]);
  return [bytes / MIB / seconds];
}

/** Round trips a second: a message there, the same one back, both read whole. */
async function echo([name, words]: readonly string[], ms: number): Promise<number[]> {
  const message = new Uint8Array(Number(words)).fill(0x78);
  const { client, server } = await openConnection(name);
  const answering = (async () => {
    const into = new Uint8Array(message.length);
    while (await readWhole(server, into)) await server.write(into);
  })();
  const into = new Uint8Array(message.length);
  const perSecond = await rate(ms, async () => {
    await client.write(message);
    if (!await readWhole(client, into)) throw new Error("the server ended the connection");
  });
  await client.closeWrite();
  await answering;
  await Promise.all([client.close(), server.close()]);
  return [perSecond];
}

async function readWhole(conn: SecureConn, into: Uint8Array): Promise<boolean> {
  for (let at = 0; at < into.length;) {
    const read = await conn.read(into.subarray(at));
    if (read === null) return false;
    at += read;
  }
  return true;
}

/** Connections a second: TCP, credentials and handshake on both ends, then closed. */
async function connections([name]: readonly string[], ms: number): Promise<number[]> {
  const registry = createRegistry([providers[name]]);
  const listener = await listen({ hostname: "127.0.0.1", port: 0, registry, system });
  const options = { hostname: "127.0.0.1", port: listener.addr.port, target: TARGET, registry, system };
  try {
    const perSecond = await rate(ms, async () => {
      const [client, server] = await Promise.all([connect(options), listener.accept()]);
      await Promise.all([client.close(), server.close()]);
    });
    return [perSecond];
  } finally {
    await listener.close();
  }
}

await serve({
  "handshake": handshakes,
  "handshake-new": newHandshakes,
  "seal": seal,
  "stream": stream,
  "echo": echo,
  "connect": connections,
});
system.close();
