/** Clients that only authenticate, as those of HTTP do: served where nothing is required of records, and nowhere else. */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { test } from "@test";
import type { ContextOptions, ProviderContext, Requirements } from "../../../contract.ts";
import { AuthenticationError, StateError } from "../../../errors.ts";
import { ntHash, ntlm } from "../../../plugins/ntlm/mod.ts";
import { resolveRequirements } from "../../../plugins/requirements.ts";
import { accounts, client, pair, PASSWORD, server, shake } from "./pair.ts";
import * as reference from "./reference.ts";
import { AV, bindingsHash, CHROMIUM, CURL, FLAG, FULL, type Pairs, u32 } from "./reference.ts";
import { utf16 } from "./vectors.ts";

const HASH = ntHash(PASSWORD);
/** What a bare context requires. */
const NOTHING: Requirements = { mutualAuthentication: false, integrity: false, confidentiality: false };
const NAMED = bindingsHash(new TextEncoder().encode("tls-server-end-point:ours"));
const OURS = new TextEncoder().encode("tls-server-end-point:ours");

/** Our server, which requires nothing of records, after a client with these flags. */
async function serve(
  flags: number,
  bend: Partial<reference.Answer> | ((info: Pairs) => Partial<reference.Answer>) = {},
  { requirements = NOTHING, ...options }: ContextOptions & { requirements?: Requirements } = {},
): Promise<ProviderContext> {
  using credentials = await ntlm({ accounts }).acquire({
    role: "server",
    system: {} as never,
    requirements: resolveRequirements(requirements),
  });
  const context = credentials.server(options);
  const first = reference.negotiate(flags);
  const second = (await context.step(first)).token!;
  const more = typeof bend === "function" ? bend(reference.readChallenge(second).info) : bend;
  const { done, token } = await context.step(reference.authenticate(first, second, { hash: HASH, ...more }));
  assertEquals([done, token], [true, null]);
  return context;
}

async function refused(reason: string, ...args: Parameters<typeof serve>): Promise<void> {
  const error = await assertRejects(() => serve(...args), AuthenticationError);
  assertEquals(error.reason, reason, error.message);
}

for (const [name, flags] of [["Chromium", CHROMIUM], ["curl", CURL]] as const) {
  test(`a client with ${name}'s flags is authenticated, and nothing is claimed of records`, async () => {
    using context = await serve(flags);
    assertEquals(context.peerName, "EXAMPLE\\alice");
    assertEquals(context.peerIdentity, {
      name: "EXAMPLE\\alice",
      user: "alice",
      realm: "EXAMPLE",
      kind: "unknown",
    });
    const { integrity, confidentiality, replayDetection, sequenceDetection } = context.attributes;
    assertEquals([integrity, confidentiality, replayDetection, sequenceDetection], [
      false,
      false,
      false,
      false,
    ]);
  });

  test(`with ${name}'s flags no key is there and nothing can be signed or wrapped`, async () => {
    const out = new Uint8Array(64);
    for (
      const use of [
        (context: ProviderContext) => context.sessionKey(),
        (context: ProviderContext) => context.sign(out),
        (context: ProviderContext) => context.verify(out, new Uint8Array(16)),
        (context: ProviderContext) => context.wrap(new Uint8Array(8), out),
        (context: ProviderContext) => context.wrapUnencrypted!(new Uint8Array(8), out),
        (context: ProviderContext) => context.unwrap(new Uint8Array(40)),
        (context: ProviderContext) => context.unwrapAny!(new Uint8Array(40)),
      ]
    ) {
      using context = await serve(flags);
      assertThrows(() => use(context), StateError, "asked for no session key");
    }
  });

  test(`with ${name}'s flags a wrong password, NTLMv1, and anonymous clients are refused`, async () => {
    await refused("bad-credentials", flags, { hash: ntHash("other") });
    await refused("bad-credentials", flags, { username: utf16("mallory") });
    await refused("mechanism", flags, { ntAnswer: new Uint8Array(24).fill(1) });
    await refused("mechanism", flags, { ntAnswer: new Uint8Array(0) });
    await refused("no-credentials", flags, { username: new Uint8Array(0) });
  });

  test(`with ${name}'s flags the code over all three messages must be right where it is announced`, async () => {
    await refused("bad-token", flags, { sessionKey: new Uint8Array(16).fill(9) });
    await refused("bad-token", flags, { code: false });
    using without = await serve(flags, (info) => ({ info, code: false }));
    assertEquals(without.peerName, "EXAMPLE\\alice");
  });

  test(`with ${name}'s flags channel bindings are in the proof, or the client is refused`, async () => {
    const said: Pairs = [[AV.flags, u32(2)]];
    const bound = (hash: Uint8Array) => (info: Pairs) => ({
      info: [...info, ...said, [AV.bindings, hash]] as Pairs,
    });
    const always = { channelBindings: OURS };
    using context = await serve(flags, bound(NAMED), always);
    assertEquals(context.attributes.channelBound, true);
    await refused("channel-bindings", flags, {}, always);
    await refused("channel-bindings", flags, bound(new Uint8Array(16)), always);
    await refused("channel-bindings", flags, bound(bindingsHash(utf16("others"))), always);
    const whenSupported = { channelBindings: OURS, allowMissingBindings: true };
    using same = await serve(flags, bound(NAMED), whenSupported);
    assertEquals(same.attributes.channelBound, true);
    using none = await serve(flags, {}, whenSupported);
    using zeros = await serve(flags, bound(new Uint8Array(16)), whenSupported);
    assertEquals([none, zeros].map(({ attributes }) => attributes.channelBound), [false, false]);
    for (const hash of [bindingsHash(utf16("others")), new Uint8Array(15), NAMED.slice(0, 15)]) {
      await refused("channel-bindings", flags, bound(hash), whenSupported);
    }
  });

  test(`a client with ${name}'s flags is refused where records are to be protected`, async () => {
    for (const requirements of [{ ...NOTHING, integrity: true }, { mutualAuthentication: false }]) {
      await refused("mechanism", flags, {}, { requirements });
    }
    using strict = await server();
    const error = await assertRejects(() => strict.step(reference.negotiate(flags)), AuthenticationError);
    assertEquals(error.reason, "mechanism");
  });
}

test("the target that a client names in its proof is told, with keys and without", async () => {
  const info = (pairs: Pairs): Partial<reference.Answer> => ({
    info: [...pairs, [AV.flags, u32(2)], [AV.target, utf16("HTTP/web.example.test")]],
  });
  for (const flags of [CHROMIUM, FULL]) {
    using context = await serve(flags, info);
    assertEquals(context.requestedTarget, "HTTP/web.example.test");
  }
});

test("names are read as they were agreed on: OEM is ASCII, and nothing else is guessed", async () => {
  const cyrillic = utf16("Алиса");
  using context = await serve(CURL, { username: utf16("ALICE") });
  assertEquals(context.peerName, "EXAMPLE\\ALICE");
  await refused("bad-token", CURL, { username: cyrillic });
  await refused("bad-token", CURL, { domain: utf16("EXÄMPLE") });
  await refused("bad-token", CURL, { flags: CHROMIUM });
  await refused("bad-token", CHROMIUM, { flags: CURL });
  await refused("bad-credentials", CHROMIUM, { username: cyrillic });
  await refused("bad-token", CURL, { username: utf16("al\\ice") });
});

test("a server answers Unicode to who has it, OEM to who has only that, and asks for no key", async () => {
  using credentials = await ntlm({ accounts, computerName: "WEBSRV" }).acquire({
    role: "server",
    system: {} as never,
    requirements: resolveRequirements(NOTHING),
  });
  const answer = async (flags: number): Promise<{ flags: number; name: string }> => {
    using context = credentials.server({});
    const { token } = await context.step(reference.negotiate(flags));
    const view = new DataView(token!.buffer, token!.byteOffset);
    const at = view.getUint32(16, true);
    const name = new TextDecoder("latin1").decode(token!.subarray(at, at + view.getUint16(12, true)));
    return { flags: view.getUint32(20, true), name };
  };
  const unicode = await answer(CHROMIUM), oem = await answer(CURL);
  assertEquals([unicode.name, oem.name], ["W\0E\0B\0S\0R\0V\0", "WEBSRV"]);
  const forms = FLAG.unicode | FLAG.oem;
  assertEquals([unicode.flags & forms, oem.flags & forms], [FLAG.unicode, FLAG.oem]);
  for (const { flags } of [unicode, oem]) {
    assertEquals(flags & (FLAG.keyExchange | FLAG.key128 | FLAG.sign | FLAG.seal), 0);
  }
  for (const lacking of [CHROMIUM & ~FLAG.extended, CHROMIUM & ~(FLAG.unicode | FLAG.oem)]) {
    const error = await assertRejects(() => answer(lacking), AuthenticationError);
    assertEquals(error.reason, "mechanism");
  }
});

test("a client that exchanges keys although none was agreed on is refused", async () => {
  await refused("bad-token", CHROMIUM, { flags: CHROMIUM | FLAG.keyExchange });
  // Without a code it is the exchange alone that is refused.
  await refused("bad-token", CHROMIUM, (info) => ({ info, code: false, flags: CHROMIUM | FLAG.keyExchange }));
});

test("a client that signs gets a session that signs although none was required", async () => {
  using both = await pair({ client: { requirements: NOTHING }, server: { requirements: NOTHING } });
  assertEquals([both.client, both.server].map(({ attributes }) => attributes.integrity), [true, true]);
  assertEquals(both.client.sessionKey(), both.server.sessionKey());
  const plain = utf16("hello"), out = new Uint8Array(plain.length + 16);
  assertEquals(both.server.unwrap(both.client.wrap(plain, out).slice()), plain);
});

test("flags that were taken out on the way cannot take the keys from a client that has a code", async () => {
  using a = await client({ requirements: NOTHING }), b = await server({ requirements: NOTHING });
  const bend = (token: Uint8Array, index: number) => {
    if (index === 0) new DataView(token.buffer, token.byteOffset).setUint32(12, CHROMIUM, true);
    return token;
  };
  // The client will not go below keys.
  const error = await assertRejects(() => shake(a, b, bend), AuthenticationError);
  assertEquals(error.reason, "mechanism");
  using second = await server({ requirements: NOTHING });
  const first = reference.negotiate(CHROMIUM);
  const { token } = await second.step(first);
  const lied = first.slice();
  lied[13] ^= 2;
  const third = reference.authenticate(lied, token!, { hash: HASH });
  assertEquals((await assertRejects(() => second.step(third), AuthenticationError)).reason, "bad-token");
});
