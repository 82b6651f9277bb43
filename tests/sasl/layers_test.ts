/** Offers and choices of security layers, and the frames of records, as bytes from strangers. */

import { assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { ProtocolError } from "../../errors.ts";
import { FrameReader } from "../../sasl/frames.ts";
import { decodeChoice, decodeOffer, encodeChoice, encodeOffer, LAYERS } from "../../sasl/layers.ts";

const layers = fc.subarray([...LAYERS], { minLength: 1 });
const size = fc.integer({ min: 1, max: 0xffffff });
const anyBytes = (maxLength: number) => fc.uint8Array({ maxLength });

test("decodeOffer() reads what encodeOffer() wrote; without a layer the size is 0", () => {
  fc.assert(fc.property(layers, size, (layers, maxReceive) => {
    const bytes = encodeOffer({ layers, maxReceive });
    const none = layers.length === 1 && layers[0] === "none";
    assertEquals(decodeOffer(bytes), { layers, maxReceive: none ? 0 : maxReceive });
  }));
  assertEquals(
    encodeOffer({ layers: ["integrity", "none"], maxReceive: 0x010203 }),
    Uint8Array.of(3, 1, 2, 3),
  );
});

test("decodeChoice() reads what encodeChoice() wrote, where it was offered", () => {
  const name = fc.string({ unit: "grapheme", maxLength: 40 }).filter((text) => !text.includes("\0"));
  fc.assert(
    fc.property(fc.constantFrom(...LAYERS), size, name, layers, (layer, maxReceive, name, offered) => {
      const bytes = encodeChoice({ layer, maxReceive, authorizationId: name });
      if (!offered.includes(layer)) {
        assertThrows(() => decodeChoice(bytes, offered), ProtocolError, "does not choose");
        return;
      }
      const expected = { layer, maxReceive: layer === "none" ? 0 : maxReceive, authorizationId: name };
      assertEquals(decodeChoice(bytes, offered), expected);
    }),
  );
});

test("decodeOffer() and decodeChoice() refuse every other bytes with a ProtocolError, and never guess", () => {
  fc.assert(fc.property(anyBytes(12), layers, (bytes, offered) => {
    if (bytes.length !== 4) assertThrows(() => decodeOffer(bytes), ProtocolError);
    else assertEquals(decodeOffer(bytes).layers.length, [1, 2, 4].filter((bit) => bytes[0] & bit).length);
    try {
      const { layer } = decodeChoice(bytes, offered);
      assertEquals([offered.includes(layer), [1, 2, 4].includes(bytes[0])], [true, true]);
    } catch (error) {
      assertEquals((error as Error).name, "ProtocolError");
    }
  }));
  // More than one layer, none, and one that nobody has defined.
  for (const bits of [0, 3, 5, 6, 7, 8]) {
    assertThrows(() => decodeChoice(Uint8Array.of(bits, 0, 16, 0), LAYERS), ProtocolError, "does not choose");
  }
  for (const name of [[0xff], [0x61, 0], [0xc0, 0x80]]) {
    assertThrows(() => decodeChoice(Uint8Array.of(1, 0, 0, 0, ...name), LAYERS), ProtocolError, "UTF-8");
  }
});

function framed(records: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(records.reduce((length, record) => length + 4 + record.length, 0));
  let at = 0;
  for (const record of records) {
    new DataView(whole.buffer).setUint32(at, record.length);
    whole.set(record, at + 4);
    at += 4 + record.length;
  }
  return whole;
}

test("FrameReader gives the same records however they are cut into chunks", () => {
  const records = fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 6 });
  fc.assert(fc.property(records, fc.array(fc.integer({ min: 1, max: 80 })), (records, cuts) => {
    const bytes = framed(records);
    const reader = new FrameReader(300);
    const seen: Uint8Array[] = [];
    let at = 0;
    for (const cut of [...cuts, bytes.length]) {
      seen.push(...reader.push(bytes.subarray(at, at + cut)));
      at = Math.min(bytes.length, at + cut);
    }
    assertEquals([seen, reader.cutShort()], [records, null]);
  }));
});

test("FrameReader holds records that are longer than what it begins with", () => {
  const record = Uint8Array.from({ length: 300_000 }, (_, index) => index * 7 & 0xff);
  const bytes = framed([record, record]);
  const reader = new FrameReader(0xffffff);
  const seen: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += 1460) seen.push(...reader.push(bytes.subarray(at, at + 1460)));
  assertEquals(seen, [record, record]);
});

test("FrameReader refuses a record that is empty or too long by its length alone, and says where bytes are missing", () => {
  fc.assert(fc.property(fc.integer({ min: 1025, max: 0xffffffff }), (length) => {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setUint32(0, length);
    const error = assertThrows(() => [...new FrameReader(1024).push(bytes)], ProtocolError);
    assertEquals(error.reason, "oversized");
  }));
  const empty = assertThrows(() => [...new FrameReader(1024).push(new Uint8Array(4))], ProtocolError);
  assertEquals(empty.reason, "empty");
  const whole = framed([Uint8Array.of(1, 2, 3)]);
  for (let length = 0; length <= whole.length; length++) {
    const reader = new FrameReader(1024);
    const found = [...reader.push(whole.subarray(0, length))].length;
    const between = length === 0 || length === whole.length;
    assertEquals([found, reader.cutShort()?.reason ?? null], [
      length === whole.length ? 1 : 0,
      between ? null : "truncated",
    ]);
  }
});
