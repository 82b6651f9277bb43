import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { test } from "@test";
import { StateError } from "../../errors.ts";
import type { ProviderContext } from "../../contract.ts";
import { openRecords } from "../../sockets/records.ts";
import { borrowBuffer, returnBuffer, WireReader } from "../../sockets/wire_reader.ts";
import { openWire, type Wire } from "../../sockets/transport.ts";
import { MemoryTransport, settle } from "../support/memory_transport.ts";
import { includes } from "../support/gss.ts";
import { type Pair, pattern, readExactly, secured } from "../support/secured.ts";

/** Every buffer that is kept for reuse, and at least one new one. */
function takeAll(): Uint8Array<ArrayBuffer>[] {
  return Array.from({ length: 17 }, borrowBuffer);
}

function putBack(taken: readonly Uint8Array<ArrayBuffer>[]): void {
  for (const buffer of taken) returnBuffer(buffer, buffer.length);
}

/** A reader, the other end of its wire, and the memory it last read into. */
function watchedReader() {
  const [a, b] = MemoryTransport.pair();
  const wire = openWire(b);
  let last: Uint8Array = new Uint8Array();
  const reader = new WireReader({
    ...wire,
    read: (p) => {
      last = p;
      return wire.read(p);
    },
  });
  return { a, reader, into: () => last };
}

test("borrowBuffer() returns a returned buffer again, all zeros, and no more than 16 are kept", () => {
  const many = Array.from({ length: 40 }, borrowBuffer);
  assertEquals(new Set(many).size, 40);
  for (const buffer of many) buffer.fill(7, 0, 1000);
  for (const buffer of many) returnBuffer(buffer, 1000);
  const again = Array.from({ length: 40 }, borrowBuffer);
  assertEquals(again.filter((buffer) => many.includes(buffer)).length, 16);
  assert(again.every((buffer) => buffer.every((byte) => byte === 0)));
  putBack(again);
});

test("bytes of a connection are in no buffer that is borrowed afterwards", async () => {
  putBack(takeAll());
  const { client, server, close } = await secured();
  for (const size of [10, 5000, 70_000, 300_000]) {
    const data = pattern(size);
    const reading = readExactly(server, size);
    await client.write(data);
    assertEquals(await reading, data);
  }
  await close();
  const taken = takeAll();
  assert(taken.every((buffer) => buffer.every((byte) => byte === 0)));
  putBack(taken);
});

test("a connection that was cut off inside a record returns no buffer that its transport may write to", async () => {
  const { a, reader, into } = watchedReader();
  reader.readAhead();
  const filling = assertRejects(() => reader.fill(60_000));
  a.inject(pattern(10_000));
  await settle();
  assertNotEquals(into().buffer.byteLength, 4096);
  reader.wipe();
  const taken = takeAll();
  assert(taken.every((buffer) => buffer.buffer !== into().buffer));
  putBack(taken);
  a.inject(pattern(10));
  await filling;
});

test("buffers that nothing reads into any more are returned when their connection is cut off", async () => {
  const { a, reader, into } = watchedReader();
  reader.readAhead();
  a.inject(pattern(10_000));
  assertEquals(await reader.fill(10_000), true);
  reader.wipe();
  assert(into().every((byte) => byte === 0));
  const taken = takeAll();
  assert(taken.some((buffer) => buffer.buffer === into().buffer));
  putBack(taken);
});

test("WireReader.rest() releases the buffer, and loses no byte that has arrived", async () => {
  const { a, reader, into } = watchedReader();
  reader.rest();
  a.inject(pattern(20_000));
  assertEquals(await reader.fill(20_000), true);
  const before = into();
  reader.take(19_999);
  reader.rest();
  assertEquals(reader.take(1), pattern(20_000).subarray(19_999));
  reader.rest();
  assert(new Uint8Array(before.buffer).every((byte) => byte === 0));
  a.inject(pattern(10));
  assertEquals(await reader.fill(10), true);
  assertEquals(into().buffer.byteLength, 4096);
  assertEquals(reader.take(10), pattern(10));
});

test("a record whose write failed is overwritten, and its buffer is not reused", async () => {
  const context = {
    attributes: { integrity: true, confidentiality: false },
    maxOverhead: 16,
    wrap: (plain: Uint8Array, out: Uint8Array) => {
      out.set(plain, 16);
      return out.subarray(0, 16 + plain.length);
    },
  } as unknown as ProviderContext;
  let sent: Uint8Array = new Uint8Array();
  const { promise, reject } = Promise.withResolvers<void>();
  const wire = {
    write: (p: Uint8Array) => {
      sent = p;
      return promise;
    },
  } as unknown as Wire;
  const writing = assertRejects(() =>
    openRecords(context, wire, new WireReader(wire)).write(new TextEncoder().encode("secret"))
  );
  assertEquals(new TextDecoder().decode(sent.subarray(20)), "secret");
  reject(new Error("broken pipe"));
  await writing;
  assert(sent.every((byte) => byte === 0));
  const taken = takeAll();
  assert(taken.every((buffer) => buffer.buffer !== sent.buffer));
  putBack(taken);
});

test("a reader that reads ahead waits for its first byte with a small buffer", async () => {
  const { a, reader, into } = watchedReader();
  reader.readAhead();
  const filling = reader.fill(1);
  await settle();
  assertEquals(into().buffer.byteLength, 4096);
  a.inject(pattern(1));
  assertEquals(await filling, true);
});

test("wipe() overwrites what has arrived and was not taken, in a buffer of any size, and refuses a later fill", async () => {
  for (const size of [10, 4096, 20_000]) {
    const { a, reader, into } = watchedReader();
    a.inject(pattern(size));
    assertEquals(await reader.fill(size), true);
    const { buffer } = into();
    assert(new Uint8Array(buffer).some((byte) => byte !== 0));
    reader.wipe();
    assert(new Uint8Array(buffer).every((byte) => byte === 0), `${size} bytes are left`);
    assertEquals(reader.buffered, 0);
    a.inject(pattern(1));
    await assertRejects(() => reader.fill(1), StateError, "closed during a read");
  }
});

test("wipe() overwrites the small buffer too that a borrowed one took the place of", async () => {
  const { a, reader, into } = watchedReader();
  reader.readAhead();
  a.inject(pattern(4096));
  assertEquals(await reader.fill(4096), true);
  const small = into();
  assertEquals(small.buffer.byteLength, 4096);
  a.inject(pattern(4096));
  assertEquals(await reader.fill(8192), true);
  assertNotEquals(into().buffer, small.buffer);
  assert(new Uint8Array(small.buffer).some((byte) => byte !== 0));
  reader.wipe();
  assert(new Uint8Array(small.buffer).every((byte) => byte === 0));
});

test("wipe() overwrites the byte with which ended() noticed that the peer goes on", async () => {
  let early: Uint8Array = new Uint8Array();
  const { promise, resolve } = Promise.withResolvers<number>();
  const reader = new WireReader({
    read: (p: Uint8Array) => {
      early = p;
      return promise;
    },
  } as unknown as Wire);
  reader.ended();
  early[0] = 7;
  resolve(1);
  await promise;
  reader.wipe();
  assertEquals([...early], [0]);
});

const ENDINGS: readonly (readonly [how: string, end: (pair: Pair) => Promise<unknown>])[] = [
  ["close()", ({ server }) => server.close()],
  ["a record that was altered", async ({ a, server }) => {
    a.inject(Uint8Array.of(30, 0, 0, 0, ...new Uint8Array(30)));
    // The first read still gives what came before it.
    const p = new Uint8Array(100);
    await assertRejects(async () => {
      while (await server.read(p) !== null) p.fill(0);
    });
  }],
  ["a transport that fails", async ({ b, client, server }) => {
    b.onCall = () => Promise.reject(new Error("broken pipe"));
    await client.write(new Uint8Array(1));
    const p = new Uint8Array(100);
    await assertRejects(async () => {
      while (await server.read(p) !== null) p.fill(0);
    });
  }],
];

for (const [how, end] of ENDINGS) {
  test(`plain text that arrived is in no buffer of a connection that ended by ${how}`, async () => {
    const secret = new TextEncoder().encode("the combination is 31-4-15");
    const pair = await secured();
    const { b, client, server, close } = pair;
    const buffers = new Set<ArrayBufferLike>();
    const read = b.read.bind(b);
    b.read = (p) => {
      buffers.add(p.buffer);
      return read(p);
    };
    await client.write(secret);
    const p = new Uint8Array(3);
    await server.read(p);
    const held = () => [...buffers].filter((buffer) => includes(new Uint8Array(buffer), secret.subarray(3)));
    assertEquals(held().length, 1, "this test sees nothing");
    await end(pair);
    await server.close();
    assertEquals(held().length, 0);
    await close();
  });
}
