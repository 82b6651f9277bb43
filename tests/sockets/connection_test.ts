import { assert, assertEquals, assertNotEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { test } from "@test";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { AuthenticationError, StateError, UnsupportedPlatformError } from "../../errors.ts";
import { MAX_SENT_SIZE } from "../../sockets/framing.ts";
import { MemoryTransport, settle } from "../support/memory_transport.ts";
import { type Pair, pattern, readExactly, secured, securedOver } from "../support/secured.ts";

/** The sizes of the data records in `sent`, without headers. */
function recordSizes(sent: readonly number[]): number[] {
  const view = new DataView(Uint8Array.from(sent).buffer);
  const sizes: number[] = [];
  for (let at = 0; at < view.byteLength; at += 4 + sizes.at(-1)!) sizes.push(view.getUint32(at, true));
  return sizes;
}

async function assertReleased(
  { a, b, clientProvider, serverProvider }: Omit<Pair, "client" | "server" | "close">,
) {
  await settle();
  assertEquals([a.closes, b.closes], [1, 1]);
  assertEquals([clientProvider.ledger.contextCloses, serverProvider.ledger.contextCloses], [[1], [1]]);
  assertEquals(clientProvider.ledger.live + serverProvider.ledger.live, 0);
}

test("bytes written at one end are read at the other, for any sizes of writes, reads and transport", async () => {
  const sizes = fc.array(fc.oneof(fc.nat(300), fc.nat(140_000)), { maxLength: 5 });
  const limits = fc.record({ readLimit: fc.integer({ min: 1000, max: 70_000 }), writeLimit: fc.nat(70_000) });
  await fc.assert(
    fc.asyncProperty(sizes, fc.integer({ min: 1, max: 70_000 }), limits, async (writes, step, memory) => {
      const pair = await secured({ memory: { ...memory, writeLimit: memory.writeLimit + 1000 } });
      const data = pattern(writes.reduce((sum, size) => sum + size, 0), step);
      const writing = (async () => {
        let at = 0;
        for (const size of writes) {
          assertEquals(await pair.client.write(data.subarray(at, at + size)), size);
          at += size;
        }
        await pair.client.closeWrite();
      })();
      const read = await readExactly(pair.server, data.length, Math.max(step, data.length >> 6));
      assert(read.every((byte, index) => byte === data[index]));
      assertEquals(await pair.server.read(new Uint8Array(1)), null);
      await writing;
      await pair.close();
      await assertReleased(pair);
    }),
    { numRuns: 25 },
  );
});

test("write() of 60 KiB makes one record, a longer one is split, and no record is longer than allowed", async () => {
  const { client, server, a, close } = await secured();
  const start = a.sent.length;
  await client.write(new Uint8Array(60 * 1024));
  await client.write(new Uint8Array(200_000));
  await client.write(new Uint8Array(0));
  const sizes = recordSizes(a.sent.slice(start));
  assertEquals(sizes[0], 60 * 1024 + 21);
  assertEquals(sizes.slice(1).reduce((sum, size) => sum + size - 21, 0), 200_000);
  assert(sizes.every((size) => size <= MAX_SENT_SIZE));
  assertEquals(sizes.length, 1 + 4);
  assertEquals((await readExactly(server, 261_440)).length, 261_440);
  await close();
});

test("write() does not change the caller's bytes, and none of them is on the wire in clear text", async () => {
  const { client, server, a, close } = await secured();
  const secret = new TextEncoder().encode("the quick brown fox jumps over the lazy dog");
  const before = secret.slice();
  await client.write(secret);
  assertEquals(secret, before);
  const wire = new TextDecoder("latin1").decode(Uint8Array.from(a.sent));
  assert(!wire.includes("quick brown"));
  assertEquals(await readExactly(server, before.length), before);
  await close();
});

test("write(): overlapping writes arrive in the order of the calls", async () => {
  const { client, server, close } = await secured({ memory: { writeLimit: 7 } });
  const parts = Array.from({ length: 20 }, (_, index) => new Uint8Array(100).fill(index));
  const writing = Promise.all(parts.map((part) => client.write(part)));
  const read = await readExactly(server, 2000);
  assert(read.every((byte, index) => byte === Math.floor(index / 100)));
  assertEquals(await writing, parts.map(() => 100));
  await close();
});

test("write(): what is written while a write is under way is sent together, in one record where it is small", async () => {
  const { client, server, a, close } = await secured();
  const [start, before] = [a.sent.length, a.writes];
  const parts = Array.from({ length: 201 }, (_, index) => new Uint8Array(100).fill(index));
  const writing = parts.map((part) => client.write(part));
  assertEquals(a.writes - before, 1, "the first write waits for nothing");
  await Promise.all(writing);
  assertEquals(a.writes - before, 2);
  assertEquals(recordSizes(a.sent.slice(start)).map((size) => size - 21), [100, 20_000]);
  const read = await readExactly(server, 20_100);
  assert(read.every((byte, index) => byte === Math.floor(index / 100)));
  await close();
});

test("write(): long writes keep their own records, and as many as fit are sent together", async () => {
  const { client, server, a, close } = await secured();
  const [start, before] = [a.sent.length, a.writes];
  const sizes = [1, 10_000, 10_000, 5, 6, 0, 30_000, 0, 40_000, 200_000, 3];
  const data = sizes.map((size, index) => pattern(size, index));
  await Promise.all(data.map((part) => client.write(part)));
  const step = MAX_SENT_SIZE - 21;
  const records = recordSizes(a.sent.slice(start)).map((size) => size - 21);
  assertEquals(records, [1, 10_000, 10_000, 11, 30_000, 40_000, step, step, step, 200_000 - 3 * step, 3]);
  assert(a.writes - before < records.length - 2, `${a.writes - before} writes`);
  const all = await readExactly(server, sizes.reduce((sum, size) => sum + size, 0));
  let at = 0;
  for (const part of data) {
    assertEquals(all.subarray(at, at + part.length), part);
    at += part.length;
  }
  await close();
});

test("write(): overlapping writes of any size are read as they were written", async () => {
  const sizes = fc.array(fc.oneof(fc.nat(300), fc.nat(5000), fc.nat(140_000)), { maxLength: 12 });
  const memory = fc.record({ writeLimit: fc.integer({ min: 500, max: 200_000 }) });
  await fc.assert(
    fc.asyncProperty(sizes, memory, async (lengths, memory) => {
      const pair = await secured({ memory });
      const parts = lengths.map((length, index) => pattern(length, index + 1));
      const writing = Promise.all(parts.map((part) => pair.client.write(part)));
      const all = await readExactly(pair.server, lengths.reduce((sum, size) => sum + size, 0));
      assertEquals(await writing, lengths);
      let at = 0;
      for (const part of parts) {
        assertEquals(all.subarray(at, at + part.length), part);
        at += part.length;
      }
      await pair.close();
      await assertReleased(pair);
    }),
    { numRuns: 25 },
  );
});

test("write(): any number of writes may wait, even of nothing", async () => {
  const { client, server, close } = await secured();
  const count = 300_000;
  const writing = Array.from({ length: count }, () => client.write(new Uint8Array(0)));
  writing.push(client.write(Uint8Array.of(7)));
  const p = new Uint8Array(2);
  assertEquals((await Promise.all(writing)).filter((length) => length === 0).length, count);
  assertEquals([await server.read(p), p[0]], [1, 7]);
  await close();
});

test("write(): a failed write fails all that wait behind it, and nothing of them is sent", async () => {
  const { client, server, a } = await secured();
  a.onCall = (call) => {
    if (call === "write") throw new Error("broken pipe");
  };
  const sent = a.sent.length;
  const writing = await Promise.allSettled(
    Array.from({ length: 50 }, () => client.write(new Uint8Array(100))),
  );
  assert(writing.every((one) => one.status === "rejected" && /broken pipe/.test(String(one.reason))));
  assertEquals(a.sent.length, sent);
  await assertRejects(() => client.write(Uint8Array.of(1)), Error, "broken pipe");
  await Promise.all([client.close(), server.close()]);
});

test("read() takes many small records that arrived together with one read of the transport, in one call", async () => {
  const { client, server, b, close } = await secured();
  const reading = server.read(new Uint8Array(1));
  await client.write(Uint8Array.of(255));
  await reading;
  for (let index = 0; index < 100; index++) await client.write(Uint8Array.of(index));
  const before = b.reads;
  const p = new Uint8Array(1000);
  assertEquals(await server.read(p), 100);
  assertEquals([...p.subarray(0, 100)], Array.from({ length: 100 }, (_, index) => index));
  assertEquals(b.reads - before, 1);
  await close();
});

test("read() returns the available bytes and does not wait for more", async () => {
  const { client, server, close } = await secured();
  await client.write(Uint8Array.of(1, 2, 3));
  const p = new Uint8Array(10);
  assertEquals(await server.read(p.subarray(0, 2)), 2);
  assertEquals(await server.read(p.subarray(2)), 1);
  assertEquals([...p.subarray(0, 3)], [1, 2, 3]);
  assertEquals(await server.read(new Uint8Array(0)), 0);
  await close();
});

test("read() is refused while another read is pending, which continues", async () => {
  const { client, server, close } = await secured();
  const first = server.read(new Uint8Array(4));
  await assertRejects(() => server.read(new Uint8Array(4)), StateError, "Another read is pending");
  await client.write(Uint8Array.of(9));
  assertEquals(await first, 1);
  await close();
});

test(
  "read() at the end of the stream between records returns null, repeatedly, and endOfStream is " +
    "unauthenticated",
  async () => {
    const pair = await secured();
    const { client, server, close } = pair;
    assertEquals(server.endOfStream, null);
    await client.write(Uint8Array.of(1));
    await client.closeWrite();
    await client.closeWrite();
    const p = new Uint8Array(4);
    assertEquals(await server.read(p), 1);
    assertEquals(server.endOfStream, null);
    assertEquals([await server.read(p), await server.read(p)], [null, null]);
    assertEquals(server.endOfStream, "unauthenticated");
    await close();
    await assertReleased(pair);
  },
);

test("closeWrite() leaves the other direction open, and a later write is refused without harm", async () => {
  const { client, server, close } = await secured();
  await client.closeWrite();
  await assertRejects(() => client.write(Uint8Array.of(1)), StateError, "nothing more can be written");
  await server.write(Uint8Array.of(5, 6));
  assertEquals([...await readExactly(client, 2)], [5, 6]);
  await close();
});

test("closeWrite() of a transport that cannot half-close reports it, and the connection continues", async () => {
  const [a, b] = MemoryTransport.pair();
  const { client, server } = await securedOver(
    { read: (p) => a.read(p), write: (p) => a.write(p), close: () => a.close() },
    b,
  );
  await assertRejects(
    () => client.closeWrite(),
    UnsupportedPlatformError,
    "cannot close one direction only",
  );
  await client.write(Uint8Array.of(1));
  assertEquals(await server.read(new Uint8Array(1)), 1);
  assertEquals([client.localAddr, client.remoteAddr], [null, null]);
  await Promise.all([client.close(), server.close()]);
});

test("close() rejects pending calls and all later ones with one StateError, and closes once", async () => {
  const pair = await secured({ memory: { capacity: 10 } });
  const { client, server } = pair;
  const reading = client.read(new Uint8Array(1)).catch((error) => error);
  const writes = [client.write(new Uint8Array(50)), client.write(new Uint8Array(50))];
  const stuck = Promise.all(writes.map((write) => write.catch((error) => error)));
  await settle();
  const closing = client.close();
  assertStrictEquals(client.close(), closing);
  const error = await reading;
  assert(error instanceof StateError, String(error));
  assertEquals((await stuck).slice(1), [error]);
  for (const call of [() => client.read(new Uint8Array(1)), () => client.write(new Uint8Array(1))]) {
    assertStrictEquals(await call().catch((error) => error), error);
  }
  for (const call of [() => client.closeWrite(), () => client.querySecurity()]) {
    assertStrictEquals(await (call() as Promise<unknown>).catch((error) => error), error);
  }
  await closing;
  await server.close();
  await assertReleased(pair);
});

test("leaving a using block closes the connection", async () => {
  const pair = await secured();
  await pair.client[Symbol.asyncDispose]();
  pair.server[Symbol.dispose]();
  await assertReleased(pair);
});

test("security is what was verified, and querySecurity() reads it again", async () => {
  const expiresAt = new Date(Date.now() + 3_600_000);
  const { client, server, close } = await secured({ faults: { expiresAt } });
  for (const conn of [client, server]) {
    const {
      provider,
      integrity: secured,
      confidentiality: encrypted,
      mutualAuthentication: mutual,
      simulated,
    } = conn.security;
    assertEquals({ provider, secured, encrypted, mutual, simulated }, {
      provider: "toy",
      secured: true,
      encrypted: true,
      mutual: true,
      simulated: false,
    });
    assertEquals(conn.security.expiresAt, expiresAt);
    assertEquals(await conn.querySecurity(), conn.security);
    assert(Object.isFrozen(conn.security) && Object.isFrozen(conn.security.details));
    JSON.stringify(conn.security.details);
  }
  assertEquals(client.security.peer, "server@TOY");
  assertNotEquals(client.localAddr, null);
  assertEquals(server.security.requestedTarget, "host/server.test");
  await close();
});

test("querySecurity() of a context that has expired, or is now weaker, closes the connection", async () => {
  const expired = await secured({ faults: { expiresAt: new Date(Date.now() - 1) } });
  const error = await assertRejects(() => expired.client.querySecurity(), AuthenticationError);
  assertEquals(error.reason, "context-expired");
  assertStrictEquals(await expired.client.write(Uint8Array.of(1)).catch((error) => error), error);
  await expired.close();
  await assertReleased(expired);

  const attributes = { confidentiality: true };
  const weaker = await secured({ clientFaults: { attributes } });
  attributes.confidentiality = false;
  await assertRejects(() => weaker.client.querySecurity());
  await weaker.close();
  await assertReleased(weaker);
});

test("arguments that are not bytes are refused without harm", async () => {
  const { client, server, close } = await secured();
  const wrong = "text" as unknown as Uint8Array;
  await assertRejects(() => client.write(wrong), TypeError, "p must be a Uint8Array");
  await assertRejects(() => client.read(wrong), TypeError, "p must be a Uint8Array");
  await assertRejects(() => client.read(new Uint16Array(2) as unknown as Uint8Array), TypeError);
  await client.write(Uint8Array.of(1));
  assertEquals(await server.read(new Uint8Array(1)), 1);
  await close();
});

class Odd extends Uint8Array {
  override subarray(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(1);
  }
}

for (
  const [what, make] of [
    ["a Buffer", (size: number) => Buffer.alloc(size)],
    ["an array over shared memory", (size: number) => new Uint8Array(new SharedArrayBuffer(size))],
    ["an array of a class that overrides methods", (size: number) => new Odd(size)],
  ] as const
) {
  test(`bytes written from ${what} are read into another one, byte for byte`, async () => {
    const pair = await secured();
    const data = make(100_000);
    data.set(pattern(data.length));
    const writing = pair.client.write(data);
    const got = make(data.length);
    let filled = 0;
    while (filled < got.length) {
      const part = new (got.constructor === Odd ? Odd : Uint8Array)(got.buffer, filled, got.length - filled);
      filled += (await pair.server.read(part))!;
    }
    assertEquals(await writing, data.length);
    assertEquals(Uint8Array.from(got), pattern(data.length));
    await pair.close();
  });
}

test("an array whose memory was transferred is a TypeError, and the connection continues", async () => {
  const pair = await secured();
  const gone = new Uint8Array(8);
  structuredClone(gone.buffer, { transfer: [gone.buffer] });
  await assertRejects(() => pair.client.write(gone), TypeError);
  await assertRejects(() => pair.client.read(gone), TypeError);
  assertEquals(await pair.client.write(pattern(3)), 3);
  assertEquals(await readExactly(pair.server, 3), pattern(3));
  await pair.close();
});
