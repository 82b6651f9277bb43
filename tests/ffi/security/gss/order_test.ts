import { assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { ProtocolError } from "../../../../errors.ts";
import { GSS_S } from "../../../../ffi/raw/gssapi.ts";
import { KerberosOrder, SequenceWindow, SharedOrder } from "../../../../ffi/security/gss/order.ts";
import { RecordCounter } from "../../../../ffi/security/record_counter.ts";

const sequence = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
/** The header of an RFC 4121 wrap or MIC token with this number. */
function token(number: bigint, id: readonly [number, number] = [5, 4]): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes.set(id);
  new DataView(bytes.buffer).setBigUint64(8, number);
  return bytes;
}

test("accept() accepts numbers in order, also past the end of 64 bits", () => {
  fc.assert(fc.property(sequence, fc.integer({ min: 1, max: 30 }), (first, count) => {
    const order = new KerberosOrder(first);
    for (let index = 0n; index < BigInt(count); index++) {
      const number = BigInt.asUintN(64, first + index);
      assertEquals(order.read(token(number)), number);
      assertEquals(order.read(token(number, [4, 4])), number);
      order.accept(number);
    }
  }));
  const last = new KerberosOrder((1n << 64n) - 1n);
  last.accept((1n << 64n) - 1n);
  last.accept(0n);
});

test("accept() refuses any other number, as replayed where it was seen and as a gap where it was not, and changes nothing", () => {
  fc.assert(fc.property(sequence, fc.nat(20), sequence, (first, seen, offset) => {
    const order = new KerberosOrder(first);
    for (let index = 0n; index < BigInt(seen); index++) order.accept(BigInt.asUintN(64, first + index));
    const next = BigInt.asUintN(64, first + BigInt(seen));
    const other = BigInt.asUintN(64, next + offset);
    fc.pre(other !== next);
    const error = assertThrows(() => order.accept(other), ProtocolError);
    const before = BigInt.asUintN(64, other - first) < BigInt(seen);
    assertEquals(error.reason, before ? "replayed" : "gap");
    order.accept(next);
  }));
});

test("read() refuses bytes that are not an RFC 4121 token", () => {
  const order = new KerberosOrder(0n);
  for (
    const bytes of [
      token(0n).subarray(0, 15),
      new Uint8Array(16),
      token(0n, [5, 5]),
      token(0n, [4, 1]),
      token(0n, [6, 4]),
    ]
  ) {
    assertEquals(assertThrows(() => order.read(bytes), ProtocolError).reason, "malformed");
  }
});

test("take() counts records up to the limit and not one more", () => {
  fc.assert(fc.property(fc.nat(50), (limit) => {
    const counter = new RecordCounter(() => true, limit);
    for (let index = 0; index < limit; index++) counter.take();
    for (const _ of [1, 2]) {
      const error = assertThrows(() => counter.take(), ProtocolError, "connect again");
      assertEquals(error.reason, "sequence-exhausted");
    }
  }));
});

test("take() queries the width of the numbers when 32 bits are used up", () => {
  let asked = 0;
  const near = 2 ** 32 - 2;
  const wide = new RecordCounter(() => ++asked > 0, undefined, near);
  const narrow = new RecordCounter(() => ++asked < 0, undefined, near);
  for (const counter of [wide, narrow]) counter.take();
  assertEquals(asked, 0);
  wide.take();
  wide.take();
  assertEquals(asked, 1);
  assertEquals(assertThrows(() => narrow.take(), ProtocolError).reason, "sequence-exhausted");
  assertEquals(asked, 2);
  const last = new RecordCounter(() => true, undefined, Number.MAX_SAFE_INTEGER - 1);
  last.take();
  assertEquals(assertThrows(() => last.take(), ProtocolError).reason, "sequence-exhausted");
});

/** What RFC 2743 says of a number, for a window of 64, without bits. */
class Reference {
  readonly #seen = new Set<bigint>();
  #next = 0n;

  accept(relative: bigint): number {
    const expected = this.#next;
    const repeated = this.#seen.has(relative);
    this.#seen.add(relative);
    if (relative >= expected) this.#next = relative + 1n;
    if (relative >= expected) return relative > expected ? GSS_S.GAP_TOKEN : 0;
    return expected - relative <= 64n && repeated ? GSS_S.DUPLICATE_TOKEN : GSS_S.UNSEQ_TOKEN;
  }
}

test("SequenceWindow reports lost, repeated and late numbers, and forgets those 64 numbers back", () => {
  const step = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ kind: fc.constant("next" as const), by: fc.integer({ min: 1, max: 90 }) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant("skip" as const), by: fc.integer({ min: 1, max: 70 }) }),
    },
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant("back" as const), by: fc.integer({ min: 1, max: 140 }) }),
    },
  );
  fc.assert(
    fc.property(sequence, fc.array(step, { maxLength: 40 }), (base, steps) => {
      const window = new SequenceWindow(base);
      const reference = new Reference();
      let highest = -1n;
      const arrive = (relative: bigint): void => {
        const bits = window.accept(token(BigInt.asUintN(64, base + relative)));
        assertEquals(bits, reference.accept(relative), `${relative}`);
        if (relative > highest) highest = relative;
      };
      for (const { kind, by } of steps) {
        if (kind === "skip") arrive(highest + 1n + BigInt(by));
        else if (kind === "back") arrive(highest - BigInt(by) < 0n ? highest + 1n : highest - BigInt(by));
        else for (let count = 0; count < by; count++) arrive(highest + 1n);
      }
    }),
    { numRuns: 500 },
  );
});

test("SequenceWindow and KerberosOrder report the same at every boundary of their numbers", () => {
  const around = (bits: bigint): bigint[] => [-1n, 0n, 1n].map((by) => BigInt.asUintN(64, (1n << bits) + by));
  for (const base of [...[0n, 8n, 32n, 56n, 63n].flatMap(around), (1n << 64n) - 2n, (1n << 64n) - 66n]) {
    for (let count = 0n; count <= 67n; count += count === 3n ? 58n : 1n) {
      for (const skipped of [0n, 1n, 61n, 62n, 63n, 64n, 65n]) {
        for (const back of [1n, 2n, 61n, 62n, 63n, 64n, 65n, 66n]) {
          const [window, reference, order] = [
            new SequenceWindow(base),
            new Reference(),
            new KerberosOrder(base),
          ];
          const arrive = (relative: bigint): void => {
            if (relative < 0n) return;
            const number = BigInt.asUintN(64, base + relative);
            assertEquals(window.accept(token(number)), reference.accept(relative), `${base} ${relative}`);
          };
          for (let relative = 0n; relative < count; relative++) {
            arrive(relative);
            order.accept(BigInt.asUintN(64, base + relative));
          }
          arrive(count + skipped);
          const next = count + skipped + 1n;
          for (const relative of [next - back, next - back, next, next - 1n]) arrive(relative);
          const other = assertThrows(
            () => order.accept(BigInt.asUintN(64, base + count - back)),
            ProtocolError,
          );
          assertEquals(other.reason, back <= count ? "replayed" : "gap");
        }
      }
    }
    const order = new KerberosOrder(base);
    order.accept(base);
    for (const ahead of [2n, 1n << 62n, 1n << 63n, (1n << 64n) - 1n]) {
      const gap = assertThrows(() => order.accept(BigInt.asUintN(64, base + ahead)), ProtocolError);
      assertEquals(gap.reason, "gap");
    }
  }
});

test("SequenceWindow finds no number in order but the next one, also after a gap", () => {
  for (const base of [5n, (1n << 56n) - 1n, (1n << 64n) - 1n]) {
    for (const [count, first] of [[0n, 0n], [1n, 0n], [2n, 0n], [2n, 1n], [3n, 2n]]) {
      const next = BigInt.asUintN(64, base + count);
      // Numbers that differ from the next one in one byte, or have its bytes in reverse.
      const near = Array.from({ length: 8 }, (_, at) => next ^ (1n << BigInt(8 * at)));
      const reversed = new DataView(token(next).buffer).getBigUint64(8, true);
      for (
        const other of [0n, 1n, 5n, 5n << 56n, 1n << 56n, base + 256n, base - count, reversed, next, ...near]
          .map((number) => BigInt.asUintN(64, number))
      ) {
        const window = new SequenceWindow(base);
        for (let index = first; index < count; index++) {
          const bits = window.accept(token(BigInt.asUintN(64, base + index)));
          assertEquals(bits, index === 0n || index > first ? 0 : GSS_S.GAP_TOKEN);
        }
        const found = window.accept(token(other)) === 0;
        assertEquals(found, other === next, `${other} after ${count} from ${base}`);
      }
    }
  }
});

test("SequenceWindow counts on where the sign bit of its numbers is set", () => {
  const window = new SequenceWindow(0n);
  const half = 1n << 63n;
  const results = [half, 1n, half, half + 1n, half + 2n, half + 1n, half + 3n, half + 2n, half - 1n]
    .map((number) => window.accept(token(number)));
  const { GAP_TOKEN: gap, DUPLICATE_TOKEN: twice, UNSEQ_TOKEN: late } = GSS_S;
  assertEquals(results, [gap, late, twice, 0, 0, twice, 0, twice, late]);
  // The number before the first one is ahead of all others.
  const other = new SequenceWindow(0n);
  assertEquals([-1n, 5n, 5n].map((number) => other.accept(token(number))), [gap, gap, twice]);
});

test("SharedOrder leaves what arrives to the library until that finds a token in order, and goes on from its number", () => {
  const { GAP_TOKEN: gap, DUPLICATE_TOKEN: twice } = GSS_S;
  for (const first of [0n, 7n, (1n << 64n) - 1n]) {
    const at = (relative: bigint): Uint8Array => token(BigInt.asUintN(64, first + relative));
    // The number of the first record is one higher where SPNEGO ended with a signature.
    for (const signed of [0n, 1n]) {
      const order = new SharedOrder(first, { sequence: true, negotiated: true });
      const others: [number, bigint][] = [[gap, 0n], [gap, 1n], [twice, 1n], [0, 2n], [0, -1n], [
        0,
        1n << 32n,
      ], [0, 1n << 63n]];
      for (const [major, relative] of others) {
        assertEquals(order.acceptBySystem(major, at(relative)), major);
        assertEquals(order.synchronized, false, `${major} ${relative}`);
      }
      assertEquals(order.acceptBySystem(0, at(signed)), 0);
      assertEquals(order.synchronized, true);
      const results = [1n, 1n, 0n, 4n].map((relative) => order.accept(at(signed + relative)));
      assertEquals(results, [0, twice, twice, gap]);
      assertEquals(order.accept(at(0n)), twice);
    }
    const order = new SharedOrder(first, { sequence: true, negotiated: false });
    assertEquals([order.synchronized, order.accept(at(0n)), order.accept(at(0n))], [true, 0, twice]);
    const lax = new SharedOrder(first, { sequence: false, negotiated: false });
    assertEquals([9n, 9n, 0n].map((relative) => lax.accept(at(relative))), [0, 0, 0]);
  }
});
