/** What a server and a client refuse of the other's messages, bent by a second implementation of NTLM. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { test } from "@test";
import { AuthenticationError, SecurityRequirementError } from "../../../errors.ts";
import { ntHash } from "../../../plugins/ntlm/mod.ts";
import { client, type EndOptions, pair, PASSWORD, server, shake, TARGET } from "./pair.ts";
import * as reference from "./reference.ts";
import {
  AV,
  bindingsHash,
  FLAG,
  FULL,
  join,
  type Pairs,
  pairs,
  Records,
  SERVER_PAIRS,
  u32,
} from "./reference.ts";
import { utf16 } from "./vectors.ts";

const HASH = ntHash(PASSWORD);

/** Our server against a client that answers as told. */
async function serve(
  bend: Partial<reference.Answer> | ((info: Pairs) => Partial<reference.Answer>),
  end: EndOptions = {},
  flags = FULL,
) {
  const context = await server(end);
  const first = reference.negotiate(flags);
  const second = (await context.step(first)).token!;
  const more = typeof bend === "function" ? bend(reference.readChallenge(second).info) : bend;
  await context.step(reference.authenticate(first, second, { hash: HASH, ...more }));
  return context;
}

async function refused(
  reason: string,
  bend: Parameters<typeof serve>[0],
  end?: EndOptions,
  flags?: number,
): Promise<void> {
  const error = await assertRejects(() => serve(bend, end, flags), AuthenticationError);
  assertEquals(error.reason, reason, error.message);
}

test("an independent implementation of the client is accepted, and its records open", async () => {
  using context = await serve({ sessionKey: new Uint8Array(16).fill(7) });
  assertEquals(context.peerName, "EXAMPLE\\alice");
  assertEquals(context.sessionKey(), new Uint8Array(16).fill(7));
  const records = new Records(context.sessionKey(), "client-to-server"), plain = utf16("hello");
  assertEquals(context.unwrap(records.wrap(plain)), plain);
  assertEquals(context.unwrap(records.wrap(plain)), plain);
  const answers = new Records(context.sessionKey(), "server-to-client"),
    out = new Uint8Array(plain.length + 16);
  assertEquals(context.wrap(plain, out), answers.wrap(plain));
});

test("an NTLMv1 answer is refused, and so is an LM answer alone", async () => {
  await refused("mechanism", { ntAnswer: new Uint8Array(24).fill(1) });
  await refused("mechanism", { ntAnswer: new Uint8Array(0) });
});

test("an anonymous client is refused, whether it sends no name or sets the flag", async () => {
  await refused("no-credentials", { username: new Uint8Array(0), ntAnswer: new Uint8Array(0) });
  await refused("no-credentials", { username: new Uint8Array(0) });
  await refused("no-credentials", { flags: FULL | FLAG.anonymous });
});

test("a client that lacks extended security, key exchange, 128-bit keys or Unicode is refused, early and late", async () => {
  for (const name of ["extended", "keyExchange", "key128", "unicode"] as const) {
    await refused("mechanism", {}, {}, FULL & ~FLAG[name]);
    await refused("mechanism", { flags: FULL & ~FLAG[name] });
  }
});

test("a client that does not sign or seal is refused, early and late", async () => {
  for (const [flag, required] of [[FLAG.sign, "integrity"], [FLAG.seal, "confidentiality"]] as const) {
    const early = await assertRejects(() => serve({}, {}, FULL & ~flag), SecurityRequirementError);
    const late = await assertRejects(() => serve({ flags: FULL & ~flag }), SecurityRequirementError);
    assertEquals([early.required, late.required], [required, required]);
  }
});

test("a message integrity code that was announced must be there, and be correct", async () => {
  await refused("bad-token", { code: false });
  // The key that the client encrypts is not the one its code is made with.
  await refused("bad-token", { encryptedKey: new Uint8Array(16).fill(9) });
});

test("a client that announces no integrity code is checked by its proof, which covers that it announces none", async () => {
  using context = await serve((info) => ({ info: [...info, [AV.flags, u32(0)]], code: false }));
  assertEquals(context.peerName, "EXAMPLE\\alice");
  using other = await serve((info) => ({ info, code: false }));
  assertEquals(other.peerName, "EXAMPLE\\alice");
});

test("the announcement of the integrity code cannot be removed in transit", async () => {
  using a = await client(), b = await server();
  const bend = (token: Uint8Array, index: number) => {
    if (index !== 2) return token;
    const at = token.findIndex((_, i) => [6, 0, 4, 0, 2].every((byte, j) => token[i + j] === byte));
    assert(at > 0);
    token[at + 4] = 0;
    return token;
  };
  const error = await assertRejects(() => shake(a, b, bend), AuthenticationError);
  assertEquals(error.reason, "bad-credentials");
});

test("a session key whose length is not 16 bytes is refused", async () => {
  for (const length of [0, 8, 15, 17]) await refused("bad-token", { encryptedKey: new Uint8Array(length) });
});

test("ambiguous names, and malformed AV pairs, are refused", async () => {
  for (const name of ["al\\ice", "alice\0", "\u202eecila", "\ud800", "x".repeat(171)]) {
    await refused("bad-token", { username: utf16(name) });
    await refused("bad-token", { domain: utf16(name) });
  }
  await refused("bad-token", { username: Uint8Array.of(0x61, 0, 0x62) });
  await refused("mechanism", (info) => ({ info: [...info, [AV.flags, u32(2)], [AV.flags, u32(2)]] }));
  await refused("bad-token", (info) => ({ info: [...info, [AV.flags, Uint8Array.of(2)]] }));
  await refused("bad-token", (info) => ({ info: [...info, [AV.flags, u32(2)], [AV.target, utf16("a\nb")]] }));
  await refused(
    "bad-token",
    (info) => ({ info: [...info, [AV.flags, u32(2)], [AV.target, utf16("x".repeat(341))]] }),
  );
});

test("channel bindings of a server must be in the client's proof: absent, empty or different ones are refused", async () => {
  const channelBindings = new TextEncoder().encode("tls-unique:abc");
  const other = bindingsHash(new TextEncoder().encode("tls-unique:abd"));
  const said: Pairs = [[AV.flags, u32(2)]];
  const end = { channelBindings };
  await refused("channel-bindings", (info) => ({ info: [...info, ...said] }), end);
  for (
    const hash of [new Uint8Array(16), new Uint8Array(0), other, bindingsHash(channelBindings).slice(0, 15)]
  ) {
    await refused("channel-bindings", (info) => ({ info: [...info, ...said, [AV.bindings, hash]] }), end);
  }
  const right: Pairs = [...said, [AV.bindings, bindingsHash(channelBindings)]];
  using context = await serve((info) => ({ info: [...info, ...right] }), end);
  assertEquals(context.attributes.channelBound, true);
  using unbound = await serve((info) => ({ info: [...info, ...right] }));
  assertEquals(unbound.attributes.channelBound, false);
});

test("the target is reported if the client's proof covers it, and not if the client marks it as unverified", async () => {
  const target: [number, Uint8Array] = [AV.target, utf16(TARGET)];
  using vouched = await serve((info) => ({ info: [...info, [AV.flags, u32(2)], target] }));
  assertEquals(vouched.requestedTarget, TARGET);
  using untrusted = await serve((info) => ({ info: [...info, [AV.flags, u32(6)], target] }));
  assertEquals(untrusted.requestedTarget, undefined);
});

test("an account's proof is not valid for another server's challenge", async () => {
  const context = await server(), first = reference.negotiate();
  const second = (await context.step(first)).token!;
  const elsewhere = second.slice();
  elsewhere[24] ^= 1;
  const third = reference.authenticate(first, elsewhere, { hash: HASH });
  const error = await assertRejects(() => context.step(third), AuthenticationError);
  assertEquals(error.reason, "bad-credentials");
});

test("a hash of zeros, or any other guess, opens no account that does not exist", async () => {
  const end = { ntlm: { accounts: () => null } };
  for (const hash of [new Uint8Array(16), new Uint8Array(16).fill(255), HASH, ntHash("")]) {
    await refused("bad-credentials", { hash }, end);
  }
});

test("a change of any bit in any of the three messages ends the exchange", async () => {
  const lengths: number[] = [];
  using both = await pair();
  using a = await client(), b = await server();
  await shake(a, b, (token, index) => {
    lengths[index] = token.length;
    return token;
  });
  assertEquals(lengths.length, 3);
  for (const [index, length] of lengths.entries()) {
    for (let at = 0; at < length; at++) {
      using a = await client(), b = await server();
      const flip = (token: Uint8Array, which: number) => {
        if (which === index) token[at] ^= 1 << (at % 8);
        return token;
      };
      const outcome = await shake(a, b, flip).then(() => "accepted", () => "refused");
      assertEquals(outcome, "refused", `message ${index + 1}, byte ${at}`);
    }
  }
  assert(both.server.done);
});

/** Our client against a server that answers as told. */
async function call(second: Uint8Array, end: Parameters<typeof client>[0] = {}) {
  const context = await client(end);
  await context.step(null);
  return { context, ...await context.step(second) };
}

test("a client sends everything a server needs: time, target, bindings, an integrity code, and no LM answer", async () => {
  const channelBindings = new TextEncoder().encode("tls-unique:abc");
  const { context, token, done } = await call(reference.challenge(), {
    channelBindings,
    ntlm: { workstation: "DESK" },
  });
  using _ = context;
  assert(done && token);
  const view = new DataView(token.buffer),
    field = (at: number) => {
      const start = view.getUint32(at + 4, true);
      return token.slice(start, start + view.getUint16(at, true));
    };
  assertEquals(field(12), new Uint8Array(24));
  assertEquals([field(28), field(36), field(44)], ["EXAMPLE", "alice", "DESK"].map(utf16));
  const blob = field(20).slice(16);
  assertEquals(blob.slice(8, 16), SERVER_PAIRS[2][1]);
  const said: Pairs = [
    ...SERVER_PAIRS,
    [AV.flags, u32(2)],
    [AV.bindings, bindingsHash(channelBindings)],
    [AV.target, utf16(TARGET)],
  ];
  assertEquals(blob.slice(28), join(pairs(said), new Uint8Array(4)));
});

test("a client does not repeat values of the server in its own name", async () => {
  const info = pairs([
    ...SERVER_PAIRS,
    [AV.flags, u32(5)],
    [8, new Uint8Array(48).fill(1)],
    [AV.target, utf16("host/other")],
    [AV.bindings, new Uint8Array(16).fill(1)],
  ]);
  const { context, token } = await call(reference.challenge(FULL, info));
  using _ = context;
  const start = new DataView(token!.buffer).getUint32(24, true);
  const said: Pairs = [
    ...SERVER_PAIRS,
    [AV.flags, u32(7)],
    [AV.bindings, new Uint8Array(16)],
    [AV.target, utf16(TARGET)],
  ];
  assertEquals(token!.slice(start + 44, start + 44 + pairs(said).length), pairs(said));
});

test("a client refuses a server that chose less than it must, before its proof is sent", async () => {
  for (const name of ["extended", "keyExchange", "key128", "unicode"] as const) {
    const error = await assertRejects(
      () => call(reference.challenge(FULL & ~FLAG[name])),
      AuthenticationError,
    );
    assertEquals(error.reason, "mechanism");
  }
  for (const [flag, required] of [[FLAG.sign, "integrity"], [FLAG.seal, "confidentiality"]] as const) {
    const error = await assertRejects(
      () => call(reference.challenge(FULL & ~flag)),
      SecurityRequirementError,
    );
    assertEquals(error.required, required);
  }
});

test("a client refuses a challenge without target information, or with malformed pairs", async () => {
  const broken = [
    new Uint8Array(0),
    Uint8Array.of(1, 0, 2, 0, 65, 0),
    Uint8Array.of(1, 0, 255, 255, 0, 0, 0, 0),
    Uint8Array.of(0, 0, 1, 0, 0),
    pairs([...SERVER_PAIRS, SERVER_PAIRS[0]]),
  ];
  for (const info of broken) {
    const error = await assertRejects(() => call(reference.challenge(FULL, info)), AuthenticationError);
    assertEquals(error.reason, "bad-token");
  }
});

test("messages in the wrong state are refused", async () => {
  using speaksFirst = await client();
  assertEquals(
    (await assertRejects(() => speaksFirst.step(reference.challenge()), AuthenticationError)).reason,
    "bad-token",
  );
  using early = await server();
  const third = reference.authenticate(reference.negotiate(), reference.challenge(), { hash: HASH });
  assertEquals((await assertRejects(() => early.step(third), AuthenticationError)).reason, "bad-token");
  using silent = await server();
  assertEquals((await assertRejects(() => silent.step(null), AuthenticationError)).reason, "bad-token");
  using twice = await server();
  await twice.step(reference.negotiate());
  assertEquals(
    (await assertRejects(() => twice.step(reference.negotiate()), AuthenticationError)).reason,
    "bad-token",
  );
});
