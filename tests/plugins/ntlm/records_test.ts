import { assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import { ProtocolError, StateError } from "../../../errors.ts";
import type { ProviderContext } from "../../../contract.ts";
import { inside } from "./inside.ts";
import { pair, wrap } from "./pair.ts";
import { bytes } from "./vectors.ts";

const plain = (text: string) => new TextEncoder().encode(text);

function refused(context: ProviderContext, record: Uint8Array, reason: string): void {
  const error = assertThrows(() => context.unwrap(record), ProtocolError);
  assertEquals(error.reason, reason, error.message);
  assertThrows(() => context.unwrap(record), StateError);
}

test("a replayed record is refused, and nothing is opened after it", async () => {
  using both = await pair();
  const record = wrap(both.client, plain("first"));
  both.server.unwrap(record.slice());
  refused(both.server, record, "replayed");
});

test("a record that comes too early is refused", async () => {
  using both = await pair();
  wrap(both.client, plain("first"));
  refused(both.server, wrap(both.client, plain("second")), "gap");
});

test("a record for the other direction is refused", async () => {
  using both = await pair();
  refused(both.client, wrap(both.client, plain("my own words")), "altered");
});

test("a record that is shorter than its signature is refused", async () => {
  for (let length = 0; length < 16; length++) {
    using both = await pair();
    refused(both.server, wrap(both.client, plain("x")).slice(0, length), "truncated");
  }
});

for (const sealed of [true, false]) {
  const how = sealed ? "sealed" : "signed";

  test(`a change of any bit in a ${how} record is detected`, async () => {
    const requirements = { mutualAuthentication: false, confidentiality: sealed };
    const text = plain("twenty-four bytes of text");
    for (let at = 0; at < 16 + text.length; at++) {
      using both = await pair({ client: { requirements }, server: { requirements } });
      // Not the first record: then a number can also be too low.
      both.server.unwrap(wrap(both.client, text));
      const record = wrap(both.client, text);
      record[at] ^= 1 << (at % 4);
      refused(both.server, record, at < 12 || at >= 16 ? "altered" : at === 12 ? "replayed" : "gap");
    }
  });

  test(`a ${how} record that is shortened or extended is detected`, async () => {
    const requirements = { mutualAuthentication: false, confidentiality: sealed };
    for (const length of [16, 17, 39, 41, 80]) {
      using both = await pair({ client: { requirements }, server: { requirements } });
      const record = new Uint8Array(length);
      record.set(wrap(both.client, plain("twenty-four bytes, fixed")).subarray(0, length));
      refused(both.server, record, "altered");
    }
  });
}

test("signatures and records share one sequence, and each belongs to its message", async () => {
  using both = await pair();
  const { client, server } = both, a = plain("a"), b = plain("b");
  const [first, second, third] = [client.sign(a), wrap(client, b), client.sign(b)];
  assertEquals(assertThrows(() => server.verify(b, first), ProtocolError).reason, "altered");
  server.verify(a, first);
  assertEquals(assertThrows(() => server.verify(a, first), ProtocolError).reason, "replayed");
  assertEquals(assertThrows(() => server.verify(b, third), ProtocolError).reason, "gap");
  assertEquals(server.unwrap(second), b);
  server.verify(b, third);
});

test("a signature that is refused changes nothing: the correct one is still accepted, and later records open", async () => {
  using both = await pair();
  const { client, server } = both, message = plain("message"), signature = client.sign(message);
  for (let at = 0; at < 12; at++) {
    const bent = signature.slice();
    bent[at] ^= 0x10;
    assertThrows(() => server.verify(message, bent), ProtocolError);
  }
  for (const length of [0, 15, 17]) {
    assertThrows(() => server.verify(message, new Uint8Array(length)), ProtocolError, "16 bytes");
  }
  server.verify(message, signature);
  assertEquals(server.unwrap(wrap(client, message)), message);
});

test("a failure leaves no plain text behind in the record", async () => {
  using both = await pair();
  const record = wrap(both.client, plain("a secret that must not show"));
  record[5] ^= 1;
  const before = record.slice();
  assertThrows(() => both.server.unwrap(record), ProtocolError);
  assertEquals(record, before);
});

test("sequence numbers end at 2^32 and never start again", async () => {
  const { exports, put, place } = await inside().then((guest) => ({
    exports: guest.exports,
    put: guest.put.bind(guest),
    place: guest.place.bind(guest),
  }));
  exports.begin(put(bytes("55".repeat(16))), 1);
  exports.number(0xffffffffn);
  const message = put(plain("last")), record = place(20), out = place(4);
  assertEquals(Boolean(exports.exhausted()), false);
  exports.wrap(message, 4, 1, record);
  assertEquals(Boolean(exports.exhausted()), true);
  assertEquals(exports.unwrap(record, 20, 1, out), -1);
  const sequenceExhausted = 10;
  assertEquals(exports.unwrap(record, 20, 1, out), sequenceExhausted);
  assertEquals(exports.verify(message, 4, record), sequenceExhausted);
});
