/**
 * Every parser of the guest against tokens nobody ever wrote: each ends in an answer or in a typed error, never in a
 * trap of the module, never in running out of fuel.
 */

import { assert, assertEquals } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { AuthenticationError, ProtocolError, SecurityRequirementError } from "../../../errors.ts";
import { ntHash } from "../../../plugins/ntlm/mod.ts";
import type { ProviderContext } from "../../../contract.ts";
import { inside } from "./inside.ts";
import { client, pair, PASSWORD, server, shake, wrap } from "./pair.ts";
import * as reference from "./reference.ts";
import { type Pairs, pairs } from "./reference.ts";

const RUNS = { numRuns: 300 };
const TYPED = [AuthenticationError.name, ProtocolError.name, SecurityRequirementError.name];
const bytes = fc.uint8Array({ maxLength: 600 });

/** A change that keeps most of a token: flips, cuts, insertions, repeats, and numbers that overflow. */
const bend = fc.array(
  fc.record({
    kind: fc.constantFrom("flip", "set", "cut", "insert", "repeat", "word"),
    at: fc.nat(4096),
    value: fc.constantFrom(0, 1, 2, 0x7f, 0x80, 0x81, 0x84, 0xa0, 0xa3, 0xff),
    extent: fc.nat(64),
  }),
  { minLength: 1, maxLength: 4 },
);
type Bend = typeof bend extends fc.Arbitrary<infer T> ? T : never;

function apply(token: Uint8Array, bends: Bend): Uint8Array {
  let out = [...token];
  for (const { kind, at, value, extent } of bends) {
    const place = at % (out.length + 1);
    if (kind === "flip") out[place % out.length] ^= value || 1;
    else if (kind === "set") out[place % out.length] = value;
    else if (kind === "cut") out = [...out.slice(0, place), ...out.slice(place + extent)];
    else if (kind === "insert") out.splice(place, 0, ...Array(extent).fill(value));
    else if (kind === "repeat") out.splice(place, 0, ...out.slice(place, place + extent));
    else for (let i = 0; i < 4 && place + i < out.length; i++) out[place + i] = value;
    if (out.length === 0) out = [value];
  }
  return Uint8Array.from(out);
}

async function endsWell(context: ProviderContext, token: Uint8Array): Promise<void> {
  try {
    await context.step(token);
  } catch (error) {
    assert(TYPED.includes((error as Error).name), `${(error as Error).stack}`);
  } finally {
    context.close();
  }
}

/** Our end with the exchange carried to where it expects message `index` (0, 1, 2 or 3), and that message. */
async function expecting(
  index: number,
  spnego: boolean,
): Promise<{ context: ProviderContext; token: Uint8Array }> {
  const a = await client({ ntlm: { spnego } }), b = await server({ ntlm: { spnego } });
  let token: Uint8Array | null = null, turn = a, other = b;
  for (let i = 0; i <= index; i++) {
    token = (await turn.step(token)).token;
    [turn, other] = [other, turn];
  }
  other.close();
  return { context: turn, token: token! };
}

for (const spnego of [false, true]) {
  const how = spnego ? "inside SPNEGO" : "as it is";
  for (const index of spnego ? [0, 1, 2, 3] : [0, 1, 2]) {
    test(`changed or random tokens in place of token ${index + 1} end in an error or a valid result, NTLM ${how}`, async () => {
      const { context, token } = await expecting(index, spnego);
      context.close();
      await fc.assert(
        fc.asyncProperty(fc.oneof(bend.map((bends) => apply(token, bends)), bytes), async (bent) => {
          const { context } = await expecting(index, spnego);
          await endsWell(context, bent);
        }),
        RUNS,
      );
    });
  }
}

test("changes in transit never lead two ends to different keys, inside SPNEGO", async () => {
  await fc.assert(
    fc.asyncProperty(fc.nat(3), bend, async (index, bends) => {
      using a = await client({ ntlm: { spnego: true } }), b = await server({ ntlm: { spnego: true } });
      const change = (token: Uint8Array, which: number) => which === index ? apply(token, bends) : token;
      await shake(a, b, change).catch((error: Error) => assert(TYPED.includes(error.name), error.stack));
      if (!a.done || !b.done) return;
      assertEquals(a.sessionKey(), b.sessionKey());
      assertEquals(b.unwrap(wrap(a, Uint8Array.of(1))), Uint8Array.of(1));
    }),
    RUNS,
  );
});

test("changed third messages with a correct proof end in an error or a valid result", async () => {
  const hash = ntHash(PASSWORD);
  const list = fc.array(fc.tuple(fc.nat(12), fc.uint8Array({ maxLength: 40 })), { maxLength: 8 });
  await fc.assert(
    fc.asyncProperty(list, fc.uint8Array({ maxLength: 24 }), fc.boolean(), async (info, name, code) => {
      const context = await server(), first = reference.negotiate();
      const second = (await context.step(first)).token!;
      const username = name.length === 0 ? {} : { username: name };
      await endsWell(
        context,
        reference.authenticate(first, second, { hash, info: info as Pairs, code, ...username }),
      );
    }),
    RUNS,
  );
});

test("challenges with any AV pairs and any flags end in an error or a valid result", async () => {
  const list = fc.array(fc.tuple(fc.nat(12), fc.uint8Array({ maxLength: 40 })), { maxLength: 8 });
  const infos = fc.oneof(list.map((info) => pairs(info as Pairs)), fc.uint8Array({ maxLength: 200 }));
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 0, max: 0xffffffff }),
      infos,
      fc.boolean(),
      async (flags, info, full) => {
        const context = await client();
        await context.step(null);
        await endsWell(context, reference.challenge(full ? reference.FULL : flags, info));
      },
    ),
    RUNS,
  );
});

test("random records end in an error, and none ever opens", async () => {
  await fc.assert(
    fc.asyncProperty(bytes, async (record) => {
      using both = await pair();
      let error: unknown = null;
      try {
        both.server.unwrap(record);
      } catch (thrown) {
        error = thrown;
      }
      assert(error instanceof ProtocolError, String(error));
    }),
    RUNS,
  );
});

test("the longest token of the framing is refused like any other, with little memory and fuel", async () => {
  for (const spnego of [false, true]) {
    for (const index of [0, 1, 2]) {
      const { context, token } = await expecting(index, spnego);
      const long = new Uint8Array(65_535).fill(0xa1);
      long.set(token);
      await endsWell(context, long);
    }
  }
});

test(
  "a list of AV pairs is accepted only if every pair is inside, none is duplicated, and it ends",
  async () => {
    const guest = await inside();
    const measure = (list: Uint8Array): number => {
      guest.reset();
      return guest.exports.measure(...guest.flat([list]));
    };
    const expected = (list: Uint8Array): number => {
      const view = new DataView(list.buffer), seen = new Set<number>();
      for (let at = 0; at + 4 <= list.length;) {
        const id = view.getUint16(at, true), length = view.getUint16(at + 2, true);
        if (at + 4 + length > list.length) return 0;
        at += 4 + length;
        if (id === 0) return length === 0 ? at : 0;
        if (id < 32 && seen.has(id)) return 0;
        seen.add(id);
      }
      return 0;
    };
    const pair = fc.tuple(fc.oneof(fc.nat(11), fc.nat(0xffff)), fc.uint8Array({ maxLength: 12 }));
    const lists = fc.array(pair, { maxLength: 6 }).map((list) => pairs(list as Pairs));
    const cut = fc.tuple(lists, fc.nat(40)).map(([list, length]) => list.slice(0, length));
    fc.assert(
      fc.property(
        fc.oneof(lists, cut, bytes),
        (list) => assertEquals(measure(list.slice()), expected(list.slice())),
      ),
    );
  },
);

test("DER elements are read only if they are complete", async () => {
  const guest = await inside();
  const count = (data: Uint8Array): number => {
    guest.reset();
    return guest.exports.elements(...guest.flat([data]), 0x04);
  };
  const expected = (data: Uint8Array): number => {
    let found = 0;
    for (let at = 0; at + 2 <= data.length && data[at] === 0x04; found++) {
      let length = data[at + 1], head = 2;
      if (length >= 0x80) {
        const more = length & 0x7f;
        if (more === 0 || more > 3 || at + 2 + more > data.length) return found;
        length = data.slice(at + 2, at + 2 + more).reduce((sum, byte) => sum * 256 + byte, 0);
        head += more;
      }
      if (at + head + length > data.length) return found;
      at += head + length;
    }
    return found;
  };
  const length = fc.constantFrom(0, 1, 2, 3, 0x7f, 0x80, 0x81, 0x82, 0x83, 0x84, 0xff);
  const element = fc.tuple(length, fc.uint8Array({ maxLength: 6 })).map(([n, rest]) => [0x04, n, ...rest]);
  const data = fc.array(element, { maxLength: 5 }).map((all) => Uint8Array.from(all.flat()));
  fc.assert(fc.property(data, (bytes) => assertEquals(count(bytes), expected(bytes))), { numRuns: 2000 });
});
