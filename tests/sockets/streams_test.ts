import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { test } from "@test";
import { once } from "node:events";
import { type AddressInfo, createConnection, createServer } from "node:net";
import process from "node:process";
import { Duplex } from "node:stream";
import { ProtocolError, StateError } from "../../errors.ts";
import type { Transport } from "../../sockets/transport.ts";
import { settle } from "../support/memory_transport.ts";
import { pattern, readExactly, secured, securedOver } from "../support/secured.ts";

async function collect(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  const reader = stream.getReader();
  for (let result = await reader.read(); !result.done; result = await reader.read()) parts.push(result.value);
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  parts.reduce((at, part) => {
    bytes.set(part, at);
    return at + part.length;
  }, 0);
  return bytes;
}

test("bytes piped into one end come out of the other, and both ends close by themselves", async () => {
  const { client, server, a, b, clientProvider, serverProvider } = await secured();
  const data = pattern(500_000);
  const echoing = server.readable.pipeTo(server.writable);
  const sending = new Blob([data]).stream().pipeTo(client.writable);
  const back = await collect(client.readable);
  await Promise.all([echoing, sending]);
  assert(back.length === data.length && back.every((byte, index) => byte === data[index]));
  await settle();
  assertEquals([a.closes, b.closes], [1, 1]);
  assertEquals(clientProvider.ledger.live + serverProvider.ledger.live, 0);
  assertEquals(client.endOfStream, "unauthenticated");
});

test("readable takes nothing from the transport before it is read", async () => {
  const { client, server, b, close } = await secured();
  const before = b.reads;
  const { readable } = server;
  assertStrictEquals(server.readable, readable);
  await client.write(new Uint8Array(1000));
  await settle();
  assertEquals(b.reads, before);
  await close();
});

test("writable takes no more than the transport does", async () => {
  const { client, server, a, close } = await secured({ memory: { capacity: 1000 } });
  const before = a.sent.length;
  const writer = client.writable.getWriter();
  let accepted = 0;
  const writing = (async () => {
    for (; accepted < 50; accepted++) await writer.write(new Uint8Array(1000));
  })();
  await settle();
  assert(accepted <= 2, `${accepted} chunks were taken`);
  assert(a.sent.length - before <= 2 * 1030);
  await readExactly(server, 50_000);
  await writing;
  await close();
});

test("a chunk belongs to the reader: later bytes do not change it", async () => {
  const { client, server, close } = await secured();
  const reader = server.readable.getReader();
  await client.write(new Uint8Array(100).fill(1));
  const first = (await reader.read()).value!;
  await client.write(new Uint8Array(100).fill(2));
  await reader.read();
  assert(first.length === 100 && first.every((byte) => byte === 1));
  await close();
});

test("a direction that its stream has used refuses calls, the other one does not", async () => {
  const { client, server, close } = await secured();
  const reader = server.readable.getReader();
  await assertRejects(() => server.read(new Uint8Array(1)), StateError, "conn.readable is in use");
  await client.write(Uint8Array.of(1));
  await reader.read();
  reader.releaseLock();
  await assertRejects(() => server.read(new Uint8Array(1)), StateError, "conn.readable is in use");
  await server.write(Uint8Array.of(2));
  assertEquals([...await readExactly(client, 1)], [2]);

  const writer = client.writable.getWriter();
  await assertRejects(() => client.write(Uint8Array.of(3)), StateError, "conn.writable is in use");
  await writer.write(Uint8Array.of(3));
  writer.releaseLock();
  await assertRejects(() => client.write(Uint8Array.of(3)), StateError, "conn.writable is in use");
  await assertRejects(() => client.closeWrite(), StateError, "conn.writable is in use");
  await close();
});

test("a stream that is used while a call is pending is refused, and the call continues", async () => {
  const { client, server, close } = await secured({ memory: { capacity: 10 } });
  const reading = server.read(new Uint8Array(100));
  await assertRejects(() => server.readable.getReader().read(), StateError, "while a read is pending");
  const writes = [client.write(new Uint8Array(20)), client.write(new Uint8Array(20))];
  await assertRejects(
    () => client.writable.getWriter().write(Uint8Array.of(1)),
    StateError,
    "while a write is pending",
  );
  assertEquals(await reading, 20);
  writes.forEach((write) => write.catch(() => {}));
  await close();
});

test("a stream used after calls have settled continues where they stopped", async () => {
  const { client, server, close } = await secured();
  await client.write(Uint8Array.of(1, 2));
  assertEquals(await server.read(new Uint8Array(1)), 1);
  const chunk = await server.readable.getReader().read();
  assertEquals([...chunk.value!], [2]);
  await client.writable.getWriter().write(Uint8Array.of(3));
  await close();
});

test("a failure of the connection is the failure of both streams", async () => {
  const { client, server, a } = await secured();
  const writer = server.writable.getWriter();
  const reading = server.readable.getReader().read().catch((error) => error);
  a.inject(Uint8Array.of(0, 0, 0, 0));
  const error = await reading;
  assert(error instanceof ProtocolError, String(error));
  assertStrictEquals(await writer.write(Uint8Array.of(1)).catch((thrown) => thrown), error);
  assertStrictEquals(await writer.closed.catch((thrown) => thrown), error);
  // Both directions are used by their streams by now; the failure is still reported first.
  assertStrictEquals(await server.read(new Uint8Array(1)).catch((thrown) => thrown), error);
  assertStrictEquals(await server.write(new Uint8Array(1)).catch((thrown) => thrown), error);
  await client.close();
});

test("close() fails a stream that waits", async () => {
  const { client, server } = await secured();
  const reading = server.readable.getReader().read().catch((error) => error);
  await settle();
  await server.close();
  assert(await reading instanceof StateError);
  await client.close();
});

test("aborting writable ends the connection with its reason", async () => {
  const { client, server, a, clientProvider } = await secured();
  await client.writable.abort("no more");
  assertEquals(await client.read(new Uint8Array(1)).catch((error) => error), "no more");
  assertEquals([a.closes, clientProvider.ledger.live], [1, 0]);
  await server.close();
});

test("cancelling readable ends reading and leaves writing open", async () => {
  const { client, server, close } = await secured();
  await server.readable.cancel();
  await client.write(Uint8Array.of(1));
  await server.write(Uint8Array.of(2));
  assertEquals([...await readExactly(client, 1)], [2]);
  await close();
});

test("a chunk that is not bytes fails the stream and not the connection", async () => {
  const { client, server, close } = await secured();
  const writer = client.writable.getWriter();
  await assertRejects(() => writer.write("text" as unknown as Uint8Array), TypeError);
  await server.write(Uint8Array.of(2));
  assertEquals([...await readExactly(client, 1)], [2]);
  await close();
});

test("secure() works over pairs of web streams", async () => {
  const there = new TransformStream<Uint8Array, Uint8Array>();
  const back = new TransformStream<Uint8Array, Uint8Array>();
  const { client, server } = await securedOver(
    { readable: back.readable, writable: there.writable },
    { readable: there.readable, writable: back.writable },
  );
  const data = pattern(300_000);
  const sending = (async () => {
    await client.write(data);
    await client.closeWrite();
  })();
  const read = await readExactly(server, data.length);
  assert(read.every((byte, index) => byte === data[index]));
  assertEquals(await server.read(new Uint8Array(1)), null);
  await sending;
  // Such a pair buffers nothing: a write lasts until it is read.
  const answering = server.write(Uint8Array.of(7));
  assertEquals([...await readExactly(client, 1)], [7]);
  await answering;
  await Promise.all([server.close(), client.close()]);
});

test("secure() works over Node sockets that were converted to web streams", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const near = createConnection({ host: "127.0.0.1", port });
  const [[far]] = await Promise.all([once(server, "connection"), once(near, "connect")]);
  const over = (a: unknown, b: unknown) => securedOver(a as Transport, b as Transport);
  await assertRejects(() => over(near, far), TypeError, "Duplex.toWeb");
  const { client, server: peer } = await over(Duplex.toWeb(near), Duplex.toWeb(far));
  await client.write(pattern(100_000));
  assertEquals(await readExactly(peer, 100_000), pattern(100_000));
  await client.close();
  assertEquals(await peer.read(new Uint8Array(1)), null);
  await peer.close();
  server.close();
}, {
  skip: process.versions.deno ? "Deno's own node:stream fails behind the closing; it has Deno.Conn" : null,
});
