import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { test } from "@test";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { StateError } from "../../errors.ts";
import { openWire, type Transport } from "../../sockets/transport.ts";
import { WireReader } from "../../sockets/wire_reader.ts";
import { MemoryTransport, settle } from "../support/memory_transport.ts";
import { pattern } from "../support/secured.ts";

const bytes = (read: () => unknown, write: () => unknown = () => 1) =>
  openWire(
    {
      read: () => Promise.resolve(read()),
      write: () => Promise.resolve(write()),
      close: () => {},
    } as Transport,
  );

test("openWire() refuses a value that is not a transport, and names what is missing", () => {
  const shapes = [null, undefined, 5, {}, { read: () => {} }, { readable: new ReadableStream() }, {
    readable: {},
    writable: {},
  }];
  for (const shape of shapes) {
    assertThrows(
      () => openWire(shape as unknown as Transport),
      TypeError,
      "must have read(), write() and close()",
    );
  }
});

test("openWire() refuses a pair whose stream is locked, and does not change it", () => {
  const { readable, writable } = new TransformStream();
  const writer = writable.getWriter();
  assertThrows(() => openWire({ readable, writable }), TypeError);
  assertEquals(readable.locked, false);
  writer.releaseLock();
  openWire({ readable, writable });
  assertEquals([readable.locked, writable.locked], [true, true]);
});

test("openWire() uses the calls of a value that has calls and streams", async () => {
  const [a, b] = MemoryTransport.pair();
  const { readable, writable } = new TransformStream();
  const both = { readable, writable, read: a.read.bind(a), write: a.write.bind(a), close: a.close.bind(a) };
  await openWire(both).write(Uint8Array.of(5));
  assertEquals(await b.read(new Uint8Array(4)), 1);
  assertEquals([readable.locked, writable.locked], [false, false]);
});

test("short writes are completed", async () => {
  const [a, b] = MemoryTransport.pair({ writeLimit: 3 });
  await openWire(a).write(pattern(100));
  const p = new Uint8Array(200);
  assertEquals(await b.read(p), 100);
  assertEquals(p.subarray(0, 100), pattern(100));
  assertEquals(a.writes, 34);
});

test("a transport that returns an invalid number is an error", async () => {
  for (const wrong of [-1, 1.5, 9, "1", undefined, NaN]) {
    await assertRejects(
      () => bytes(() => wrong).read(new Uint8Array(8)),
      TypeError,
      "transport.read must return",
    );
    await assertRejects(
      () => bytes(() => 1, () => wrong).write(new Uint8Array(8)),
      TypeError,
      "transport.write must",
    );
  }
  await assertRejects(
    () => bytes(() => 1, () => null).write(new Uint8Array(8)),
    TypeError,
    "transport.write must",
  );
});

test("a transport that never moves a byte fails instead of being called forever", async () => {
  await assertRejects(() => bytes(() => 0).read(new Uint8Array(8)), TypeError, "moved no byte");
  await assertRejects(() => bytes(() => 1, () => 0).write(new Uint8Array(8)), TypeError, "moved no byte");
});

test("close() closes once, and ignores a failure", async () => {
  let closes = 0;
  const wire = openWire({
    read: () => Promise.resolve(null),
    write: () => Promise.resolve(1),
    close: () => {
      closes++;
      throw new Error("already gone");
    },
  });
  await Promise.all([wire.close(), wire.close()]);
  assertEquals(closes, 1);
});

test("a pair of streams splits chunks, keeps nothing that it wrote, and closes both", async () => {
  const chunks = [Uint8Array.of(1, 2, 3), new Uint8Array(), Uint8Array.of(4)];
  const written: Uint8Array[] = [];
  let closed = 0;
  const wire = openWire({
    readable: new ReadableStream<Uint8Array>({
      pull: (controller) => controller.enqueue(chunks.shift()!),
      cancel: () => void closed++,
    }, { highWaterMark: 0 }),
    writable: new WritableStream<Uint8Array>({
      write: (chunk) => void written.push(chunk),
      close: () => void closed++,
    }),
  });
  const p = new Uint8Array(2);
  assertEquals([await wire.read(p), ...p], [2, 1, 2]);
  assertEquals([await wire.read(p), p[0]], [1, 3]);
  assertEquals([await wire.read(p), p[0]], [1, 4]);
  for (const out of [Uint8Array.of(9), Buffer.of(8)]) {
    await wire.write(out);
    out[0] = 0;
  }
  assertEquals(written, [Uint8Array.of(9), Uint8Array.of(8)]);
  await wire.close();
  assertEquals(closed, 2);
});

test("a pair of streams that returns text is refused", async () => {
  const readable = new ReadableStream({ pull: (controller) => controller.enqueue("text") });
  const wire = openWire({ readable, writable: new WritableStream() });
  await assertRejects(() => wire.read(new Uint8Array(4)), TypeError, "Uint8Array chunks");
});

test("a pair of streams closes although a write is stuck, and the sink is aborted", async () => {
  let signal: AbortSignal | undefined;
  const wire = openWire({
    readable: new ReadableStream<Uint8Array>(),
    writable: new WritableStream<Uint8Array>({
      write: (_, controller) => {
        signal = controller.signal;
        return new Promise(() => {});
      },
    }),
  });
  wire.write(Uint8Array.of(1)).catch(() => {});
  await settle();
  await wire.close();
  assertEquals(signal?.aborted, true);
});

test("WireReader returns the same bytes for any sizes in which they arrive", async () => {
  const sizes = fc.array(fc.integer({ min: 1, max: 66_000 }), { minLength: 1, maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(
      sizes,
      fc.integer({ min: 1, max: 200_000 }),
      fc.boolean(),
      async (wanted, limit, ahead) => {
        const total = wanted.reduce((sum, size) => sum + size, 0);
        const data = pattern(total);
        const [a, b] = MemoryTransport.pair({ readLimit: Math.max(limit, total >> 8) });
        a.inject(data);
        const reader = new WireReader(openWire(b));
        if (ahead) reader.readAhead();
        let at = 0;
        for (const size of wanted) {
          assertEquals(await reader.fill(size), true);
          const part = reader.take(size);
          assert(part.every((byte, index) => byte === data[at + index]));
          at += size;
        }
        await a.closeWrite();
        assertEquals(await reader.fill(1), false);
        assertEquals(reader.buffered, 0);
      },
    ),
    { numRuns: 60 },
  );
});

test("WireReader grows with the bytes that have arrived and not with the announced size", async () => {
  const asked: number[] = [];
  const reader = new WireReader({
    ...openWire(MemoryTransport.pair()[0]),
    read: (p) => {
      asked.push(p.length);
      return Promise.resolve(asked.length < 3 ? 1 : null);
    },
  });
  assertEquals(await reader.fill(65_535), false);
  assertEquals(asked, [4096, 4095, 4094]);
  assertEquals(reader.buffered, 2);
});

test("WireReader that waits for a new record has a small buffer again, whatever passed before", async () => {
  const [a, b] = MemoryTransport.pair();
  const wire = openWire(b);
  const asked: number[] = [];
  const reader = new WireReader({
    ...wire,
    read: (p) => {
      asked.push(p.length);
      return wire.read(p);
    },
  });
  // A token that does not fit the first buffer, then records of all sizes.
  for (const [index, size] of [20_000, 100, 65_540, 4095, 130_000, 10].entries()) {
    if (index === 1) reader.readAhead();
    const data = pattern(size, index);
    const filling = reader.fill(size);
    assertEquals(asked.at(-1), 4096);
    a.inject(data);
    assertEquals(await filling, true);
    assertEquals(reader.take(size), data);
  }
});

test("WireReader whose last read was full reads much at once", async () => {
  const [a, b] = MemoryTransport.pair();
  const wire = openWire(b);
  const asked: number[] = [];
  const reader = new WireReader({
    ...wire,
    read: (p) => {
      asked.push(p.length);
      return wire.read(p);
    },
  });
  reader.readAhead();
  const data = pattern(300_000);
  a.inject(data);
  for (let at = 0; at < data.length; at += reader.take(reader.buffered).length) {
    assertEquals(await reader.fill(1), true);
    assertEquals(reader.peek(reader.buffered), data.subarray(at, at + reader.buffered));
  }
  assertEquals(asked, [4096, 131_080, 131_080, 131_080]);
  const filling = reader.fill(1);
  assertEquals(asked.at(-1), 4096);
  a.inject(data.subarray(0, 1));
  await filling;
});

test("WireReader.wipe() during a fill rejects it, and releases everything", async () => {
  const [a, b] = MemoryTransport.pair();
  const reader = new WireReader(openWire(b));
  a.inject(Uint8Array.of(1));
  const filling = assertRejects(() => reader.fill(2));
  await settle();
  reader.wipe();
  a.inject(Uint8Array.of(2));
  await filling;
  assertEquals(reader.buffered, 0);
});

/** A reader, its peer, and the size of each read. */
function watched(): { a: MemoryTransport; b: MemoryTransport; reader: WireReader; asked: number[] } {
  const [a, b] = MemoryTransport.pair();
  const wire = openWire(b);
  const asked: number[] = [];
  const read = (p: Uint8Array) => {
    asked.push(p.length);
    return wire.read(p);
  };
  return { a, b, reader: new WireReader({ ...wire, read }), asked };
}

/** The current state of a promise. */
async function stateOf(promise: Promise<unknown>): Promise<string> {
  let state = "pending";
  promise.then(() => state = "resolved", () => state = "rejected");
  await settle();
  return state;
}

test("WireReader.ended() reports the end of the stream while nothing is read, and later fills work as before", async () => {
  const { a, reader, asked } = watched();
  const ended = reader.ended();
  assertEquals(await stateOf(ended), "pending");
  await a.closeWrite();
  await ended;
  assertEquals([await reader.fill(1), asked], [false, [1]]);
  assertEquals(await reader.fill(1), false);
});

test("WireReader.ended() reads one byte at most, and no byte is lost", async () => {
  for (const first of [1, 100, 5000]) {
    const { a, reader, asked } = watched();
    const ended = reader.ended();
    const data = pattern(10_000);
    a.inject(data.subarray(0, first));
    assertEquals(await stateOf(ended), "pending");
    assertEquals([asked, reader.buffered], [[1], 0]);
    a.inject(data.subarray(first));
    await a.closeWrite();
    assertEquals(await reader.fill(data.length), true);
    assertEquals(reader.take(data.length), data);
    assertEquals(await reader.fill(1), false);
    assertEquals(await stateOf(ended), "pending", "it did not end before anything came");
  }
});

test("WireReader.fill() uses the read of ended(), and starts no second one", async () => {
  const { a, reader, asked } = watched();
  const ended = reader.ended();
  reader.readAhead();
  const filling = reader.fill(3);
  await settle();
  assertEquals(asked, [1]);
  a.inject(Uint8Array.of(1, 2, 3));
  assertEquals(await filling, true);
  assertEquals([[...reader.take(3)], asked], [[1, 2, 3], [1, 4095]]);
  assertEquals(await stateOf(ended), "pending");
});

test("WireReader.ended() reads nothing while bytes are buffered: these come first", async () => {
  const { a, reader, asked } = watched();
  a.inject(Uint8Array.of(1, 2));
  await reader.fill(1);
  reader.take(1);
  const ended = reader.ended();
  await a.closeWrite();
  assertEquals([await stateOf(ended), asked], ["pending", [4096]]);
  assertEquals([await reader.fill(1), [...reader.take(1)], await reader.fill(1)], [true, [2], false]);
});

test("WireReader: a read that fails rejects ended(), and the next fill", async () => {
  const { b, reader } = watched();
  const cut = Promise.withResolvers<void>();
  b.onCall = () => cut.promise;
  const ended = reader.ended();
  assertEquals(await stateOf(ended), "pending");
  cut.reject(new Error("reset"));
  await assertRejects(() => ended, Error, "reset");
  await assertRejects(() => reader.fill(1), Error, "reset");
});

test("WireReader.wipe() during ended() rejects the fill that uses its read", async () => {
  const { a, reader } = watched();
  const ended = reader.ended();
  const filling = assertRejects(() => reader.fill(1), StateError);
  reader.wipe();
  a.inject(Uint8Array.of(9));
  await filling;
  assertEquals([await stateOf(ended), reader.buffered], ["pending", 0]);
});
