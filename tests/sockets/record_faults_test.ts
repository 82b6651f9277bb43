import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { AuthenticationError, ProtocolError, type ProtocolReason } from "../../errors.ts";
import type { ProviderContext } from "../../contract.ts";
import { openBytes, openRecords } from "../../sockets/records.ts";
import { openWire } from "../../sockets/transport.ts";
import { WireReader } from "../../sockets/wire_reader.ts";
import { MemoryTransport, settle } from "../support/memory_transport.ts";
import { type Pair, pattern, secured } from "../support/secured.ts";

/** A connection with three records (1, 2, 3) held back, to be delivered by the test. */
async function withHeldRecords(): Promise<Pair & { records: Uint8Array[] }> {
  const pair = await secured();
  const records: Uint8Array[] = [];
  pair.a.tamper = (chunk) => {
    records.push(chunk.slice());
    return new Uint8Array();
  };
  for (const value of [1, 2, 3]) await pair.client.write(new Uint8Array(50).fill(value));
  pair.a.tamper = null;
  return { ...pair, records };
}

async function readAll(pair: Pair): Promise<number[]> {
  const values: number[] = [];
  const p = new Uint8Array(50);
  for (let n = await pair.server.read(p); n !== null; n = await pair.server.read(p)) values.push(p[0]);
  return values;
}

/** Every later call must reject with `error`; the transport and the context must be closed, once. */
async function assertPoisoned(pair: Pair, error: unknown): Promise<void> {
  const { server, b, serverProvider } = pair;
  assertEquals(b.closes, 1);
  assertEquals(serverProvider.ledger.live, 0);
  assertEquals(serverProvider.ledger.contextCloses, [1]);
  const later = [server.read(new Uint8Array(1)), server.write(new Uint8Array(1)), server.closeWrite()];
  for (const call of [...later, server.querySecurity()] as Promise<unknown>[]) {
    assertStrictEquals(await call.then(() => "no error", (thrown) => thrown), error);
  }
  await server.close();
  await pair.client.close();
  assertEquals(b.closes, 1);
  assertEquals(serverProvider.ledger.contextCloses, [1]);
}

const join = (...parts: Uint8Array[]) => Uint8Array.from(parts.flatMap((part) => [...part]));
const flip = (record: Uint8Array, at: number) =>
  record.map((byte, index) => index === at ? byte ^ 0x20 : byte);
const sized = (size: number) => Uint8Array.of(size, size >> 8, size >> 16, size >>> 24);

const DELIVERIES: [string, (records: Uint8Array[]) => Uint8Array, ProtocolReason][] = [
  ["a record whose last byte was flipped", ([one]) => flip(one, one.length - 1), "altered"],
  ["a record whose check was flipped", ([one]) => flip(one, 12), "altered"],
  ["a record whose number was changed", ([one]) => flip(one, 7), "altered"],
  ["a record twice", ([one]) => join(one, one), "replayed"],
  ["two records in the wrong order", ([one, two]) => join(two, one), "gap"],
  ["a record after one that was left out", ([one, , three]) => join(one, three), "gap"],
  ["an old record after newer ones", ([one, two, three]) => join(one, two, three, one), "replayed"],
  ["half a record and then the end", ([one]) => one.subarray(0, 30), "truncated"],
  ["half a header and then the end", ([one]) => one.subarray(0, 3), "truncated"],
  ["a header alone and then the end", ([one]) => one.subarray(0, 4), "truncated"],
  ["a good record and half of the next", ([one, two]) => join(one, two.subarray(0, 9)), "truncated"],
  ["a record that is announced too long", () => sized(0x10001), "oversized"],
  ["a record that is announced far too long", () => sized(0xffffffff), "oversized"],
  ["a record of no bytes", () => sized(0), "empty"],
  ["a record too short to be checked", () => join(sized(3), Uint8Array.of(1, 2, 3)), "malformed"],
  ["text", () => new TextEncoder().encode("GET / HTTP/1.1\r\n"), "oversized"],
];
for (const [what, deliver, reason] of DELIVERIES) {
  test(`a peer that sends ${what} ends the connection for good (${reason})`, async () => {
    const pair = await withHeldRecords();
    pair.a.inject(deliver(pair.records));
    await pair.client.closeWrite();
    const error = await assertRejects(() => readAll(pair), ProtocolError);
    assertEquals(error.reason, reason);
    assertEquals(pair.server.endOfStream, null);
    await assertPoisoned(pair, error);
  });
}

test("read() returns the bytes before a bad record, and none after it", async () => {
  const pair = await withHeldRecords();
  const [one, two, three] = pair.records;
  pair.a.inject(join(one, two, flip(three, 40), three));
  const p = new Uint8Array(1000);
  assertEquals(await pair.server.read(p), 100);
  assertEquals([p[0], p[50]], [1, 2]);
  const error = await assertRejects(() => pair.server.read(p), ProtocolError);
  assertEquals(error.reason, "altered");
  await assertPoisoned(pair, error);
});

test("a record that is signed but not encrypted is refused if encryption is required", async () => {
  const attributes = { confidentiality: true };
  const pair = await secured({ clientFaults: { attributes } });
  attributes.confidentiality = false;
  await pair.client.write(Uint8Array.of(1));
  const error = await assertRejects(() => pair.server.read(new Uint8Array(1)), ProtocolError);
  assertEquals(error.reason, "not-encrypted");
  await assertPoisoned(pair, error);
});

test("a record with one bit flipped anywhere is never read as data", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(10_000), fc.nat(7), async (place, bit) => {
      const pair = await withHeldRecords();
      const [record] = pair.records;
      record[place % record.length] ^= 1 << bit;
      pair.a.inject(record);
      await pair.client.closeWrite();
      const error = await assertRejects(() => readAll(pair), ProtocolError);
      await assertPoisoned(pair, error);
    }),
    { numRuns: 100 },
  );
});

test("a record without data is skipped, and a read waits for the next", async () => {
  const [a, b] = MemoryTransport.pair();
  const context = {
    attributes: { integrity: true },
    maxOverhead: 1,
    unwrap: (record: Uint8Array) => record.subarray(1),
  } as unknown as ProviderContext;
  const wire = openWire(b);
  const records = openRecords(context, wire, new WireReader(wire));
  await a.write(Uint8Array.of(1, 0, 0, 0, 9, 1, 0, 0, 0, 9));
  const ready = records.ready();
  await settle();
  await a.write(Uint8Array.of(2, 0, 0, 0, 9, 42));
  assertEquals(await ready, true);
  const p = new Uint8Array(4);
  assertEquals([records.take(p), p[0]], [1, 42]);
});

test("a wrap that fails sends nothing, leaves no plain text and ends the connection", async () => {
  const pair = await secured({ clientFaults: { failWrapAt: 1 } });
  await pair.client.write(Uint8Array.of(1));
  const before = pair.a.sent.length;
  const error = await assertRejects(() => pair.client.write(pattern(5000)), ProtocolError);
  assertEquals(error.reason, "sequence-exhausted");
  assertEquals([pair.a.sent.length, pair.a.closes], [before, 1]);
  assertStrictEquals(await pair.client.read(new Uint8Array(1)).catch((thrown) => thrown), error);
  assertEquals(pair.clientProvider.ledger.contextCloses, [1]);
  await pair.server.close();
});

test("the buffer in which a failed wrap left plain text is zeroed", async () => {
  const [, b] = MemoryTransport.pair();
  let out: Uint8Array | undefined;
  const context = {
    attributes: { integrity: true, confidentiality: true },
    maxOverhead: 16,
    wrap: (plain: Uint8Array, into: Uint8Array) => {
      out = into;
      into.set(plain);
      throw new Error("made to fail");
    },
  } as unknown as ProviderContext;
  const wire = openWire(b);
  const records = openRecords(context, wire, new WireReader(wire));
  await assertRejects(() => records.write(pattern(1000)), Error, "made to fail");
  assert(out!.every((byte) => byte === 0));
  assertEquals(b.sent.length, 0);
});

test("a provider that does not wrap into the given buffer is refused before a byte is sent", async () => {
  const wraps: ((plain: Uint8Array, out: Uint8Array) => Uint8Array)[] = [
    (plain) => plain,
    (plain) => plain.slice(),
    (_, out) => out.subarray(0, 0),
    (_, out) => new Uint8Array(out.buffer),
  ];
  for (const wrap of wraps) {
    const [, b] = MemoryTransport.pair();
    const context = { attributes: { integrity: true }, maxOverhead: 8, wrap } as unknown as ProviderContext;
    const wire = openWire(b);
    const records = openRecords(context, wire, new WireReader(wire));
    assertEquals((await assertRejects(() => records.write(pattern(9)), ProtocolError)).reason, "malformed");
    assertEquals(b.sent.length, 0);
  }
});

test("all records of a long transfer are made in one buffer and opened in another", async () => {
  const [a, b] = MemoryTransport.pair({ capacity: 200_000, readLimit: 50_000 });
  const [wraps, unwraps] = [new Set<unknown>(), new Set<unknown>()];
  const context = {
    attributes: { integrity: true },
    maxOverhead: 1,
    wrap: (plain: Uint8Array, out: Uint8Array) => {
      wraps.add(out.buffer);
      out.set(plain, 1);
      return out.subarray(0, plain.length + 1);
    },
    unwrap: (record: Uint8Array) => {
      unwraps.add(record.buffer);
      return record.subarray(1);
    },
  } as unknown as ProviderContext;
  const [from, to] = [openWire(a), openWire(b)];
  const writer = openRecords(context, from, new WireReader(from));
  const reader = openRecords(context, to, new WireReader(to));
  const writing = writer.write(new Uint8Array(2_000_000));
  const p = new Uint8Array(30_000);
  for (let read = 0; read < 2_000_000;) {
    await reader.ready();
    read += reader.take(p);
  }
  await writing;
  assertEquals([wraps.size, unwraps.size], [1, 1]);
});

test("a provider whose overhead does not fit in a record is refused", () => {
  for (const maxOverhead of [0xfc30, 1e9, -1, NaN]) {
    const wire = openWire(MemoryTransport.pair()[0]);
    const context = { attributes: { integrity: true }, maxOverhead } as unknown as ProviderContext;
    let error: unknown;
    try {
      openRecords(context, wire, new WireReader(wire));
    } catch (thrown) {
      error = thrown;
    }
    assertEquals((error as ProtocolError).reason, "oversized");
  }
});

for (const side of ["client", "server"] as const) {
  test(`a context that expires on the ${side} during the connection ends it with context-expired`, async () => {
    const pair = await secured({ [`${side}Faults`]: { expireAfter: 2 } });
    const p = new Uint8Array(1);
    const turn = async () => {
      await pair.client.write(Uint8Array.of(1));
      return await pair.server.read(p);
    };
    assertEquals([await turn(), await turn()], [1, 1]);
    const error = await assertRejects(turn, AuthenticationError);
    assertEquals(error.reason, "context-expired");
    const conn = pair[side];
    assertStrictEquals(await conn.write(p).catch((thrown) => thrown), error);
    assertEquals((side === "client" ? pair.a : pair.b).closes, 1);
    await Promise.all([pair.client.close(), pair.server.close()]);
  });
}

for (const call of ["read", "write"] as const) {
  test(`a transport that fails to ${call} ends the connection with its own error, once`, async () => {
    const pair = await secured();
    const failure = new Error("cable cut");
    pair.b.onCall = (which) => {
      if (which === call) throw failure;
    };
    const other = pair.server[call === "read" ? "write" : "read"](new Uint8Array(1));
    other.catch(() => {});
    if (call === "write") await settle();
    assertStrictEquals(await pair.server[call](new Uint8Array(1)).catch((thrown) => thrown), failure);
    await assertPoisoned(pair, failure);
  });
}

test("a record of one byte is read before the failure of the record behind it", async () => {
  const pair = await secured();
  const records: Uint8Array[] = [];
  pair.a.tamper = (chunk) => {
    records.push(chunk.slice());
    return new Uint8Array();
  };
  await pair.client.write(Uint8Array.of(42));
  await pair.client.write(new Uint8Array(50));
  pair.a.tamper = null;
  pair.a.inject(join(records[0], flip(records[1], 30)));
  const p = new Uint8Array(50);
  assertEquals(await pair.server.read(p), 1);
  assertEquals(p[0], 42);
  const error = await assertRejects(() => pair.server.read(p), ProtocolError);
  assertEquals(error.reason, "altered");
  await assertPoisoned(pair, error);
});

test("a provider whose records are no longer than their plain text serves, and one of less than none is refused", () => {
  const [a] = MemoryTransport.pair();
  const open = (maxOverhead: number) => {
    const attributes = { integrity: true, confidentiality: false };
    const wire = openWire(a);
    return openRecords({ attributes, maxOverhead } as unknown as ProviderContext, wire, new WireReader(wire));
  };
  assertEquals(open(0).buffered, 0);
  for (const overhead of [-1, NaN, 70_000]) {
    assertThrows(() => open(overhead), ProtocolError, "no room for data");
  }
});

test("bytes of a connection without integrity arrive as they were sent, and never more than are asked for", async () => {
  const [a, b] = MemoryTransport.pair();
  const wire = openWire(b);
  const records = openBytes(wire, new WireReader(wire));
  a.inject(pattern(5000));
  assertEquals(await records.ready(), true);
  const p = new Uint8Array(1000).fill(9);
  assertEquals(records.take(p.subarray(0, 100)), 100);
  assertEquals(p.subarray(0, 100), pattern(5000).subarray(0, 100));
  assertEquals([...p.subarray(100)].every((byte) => byte === 9), true);
  assertEquals(records.take(p), 1000);
  assertEquals(p, pattern(5000).subarray(100, 1100));
});
