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
  negotiate,
  openAcceptor,
  openInitiator,
  openSystem,
  type ProviderCredentials,
  type SecureConn,
} from "@winsock/secure-sockets";
import type { ContextProvider } from "@winsock/secure-sockets/plugins";
import { acquire, close, type Ends, exchange, sealAndOpen, shake } from "./contexts.ts";
import { type Answer, rate, serve, used } from "./peer.ts";

const TARGET = "HTTP/localhost";
const MIB = 1 << 20;
const system = openSystem({ grants: ["sspi"] });
const providers: { [name: string]: ContextProvider } = { kerberos: kerberos(), negotiate: negotiate() };

function credentialsOf(provider: ContextProvider, cache: string): Promise<Ends<ProviderCredentials>> {
  return acquire(
    provider,
    system,
    cache === "memory" ? { keytab: process.env.KRB5_CLIENT_KTNAME! } : undefined,
  );
}

async function handshakes([name, cache]: readonly string[], ms: number): Promise<number[]> {
  const credentials = await credentialsOf(providers[name], cache);
  const perSecond = await rate(ms, async () => close(await shake(credentials, TARGET)));
  close(credentials);
  return [perSecond];
}

async function newHandshakes([name, cache]: readonly string[], ms: number): Promise<number[]> {
  return [
    await rate(ms, async () => {
      const credentials = await credentialsOf(providers[name], cache);
      close(await shake(credentials, TARGET));
      close(credentials);
    }),
  ];
}

/** MiB/s of wrap and of unwrap. */
async function seal([name, words]: readonly string[], ms: number): Promise<number[]> {
  const credentials = await credentialsOf(providers[name], "file");
  const ends = await shake(credentials, TARGET);
  const rates = sealAndOpen(ends, Number(words), ms);
  close(ends);
  close(credentials);
  return rates;
}

/** Contexts a second, initiated and accepted through the public API. */
async function contexts([name]: readonly string[], ms: number): Promise<number[]> {
  const options = { registry: createRegistry([providers[name]]), system };
  const [initiator, acceptor] = [await openInitiator(options), await openAcceptor(options)];
  const perSecond = await rate(ms, async () => close(await exchange(initiator, acceptor, TARGET)));
  close({ client: initiator, server: acceptor });
  return [perSecond];
}

/** MiB/s of wrap and of unwrap through the public API. */
async function wrapped([name, words]: readonly string[], ms: number): Promise<number[]> {
  const requirements = { confidentiality: true };
  const options = { registry: createRegistry([providers[name]]), system, requirements };
  const [initiator, acceptor] = [await openInitiator(options), await openAcceptor(options)];
  const ends = await exchange(initiator, acceptor, TARGET);
  const rates = sealAndOpen(ends, Number(words), ms);
  close(ends);
  close({ client: initiator, server: acceptor });
  return rates;
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

/** How many writes of {@linkcode queued} are under way at a time. */
const IN_FLIGHT = 64;

const stream: Answer = (words, ms) => streamOf(words, ms, 1);
/** The same, where the writer does not wait for each write. */
const queued: Answer = (words, ms) => streamOf(words, ms, IN_FLIGHT);

/** MiB/s through a connection over loopback, whose one end writes while the other reads. */
async function streamOf([name, words]: readonly string[], ms: number, inFlight: number): Promise<number[]> {
  const chunk = new Uint8Array(Number(words)).fill(0x78);
  const { client, server } = await openConnection(name);
  const start = used();
  const writing = (async () => {
    for (const end = performance.now() + ms; performance.now() < end;) {
      if (inFlight === 1) await client.write(chunk);
      else await Promise.all(Array.from({ length: inFlight }, () => client.write(chunk)));
    }
    await client.closeWrite();
  })();
  const into = new Uint8Array(Math.max(chunk.length, 64 * 1024));
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

/** Connections a second: TCP, credentials and handshake on both ends, a message there and back if any, then closed. */
async function connections([name, words]: readonly string[], ms: number): Promise<number[]> {
  const registry = createRegistry([providers[name]]);
  const listener = await listen({ hostname: "127.0.0.1", port: 0, registry, system });
  const options = { hostname: "127.0.0.1", port: listener.addr.port, target: TARGET, registry, system };
  const message = new Uint8Array(Number(words));
  const into = new Uint8Array(message.length);
  try {
    const perSecond = await rate(ms, async () => {
      const [client, server] = await Promise.all([connect(options), listener.accept()]);
      for (const [from, to] of message.length === 0 ? [] : [[client, server], [server, client]]) {
        await from.write(message);
        if (!await readWhole(to, into)) throw new Error("the peer ended the connection");
      }
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
  "context": contexts,
  "wrap": wrapped,
  "stream": stream,
  "stream-queued": queued,
  "echo": echo,
  "connect": connections,
});
system.close();
