import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { test } from "@test";
import { Buffer } from "node:buffer";
import {
  AuthenticationError,
  ProtocolError,
  ProviderTrapError,
  SecurityRequirementError,
  StateError,
} from "../../../errors.ts";
import type {
  AcquireOptions,
  ContextProvider,
  ProviderContext,
  ProviderCredentials,
} from "../../../contract.ts";
import { resolveRequirements } from "../../../plugins/requirements.ts";
import { loadProvider } from "../../../plugins/sandbox/load_provider.ts";
import type { Answer } from "../../../plugins/sandbox/questions.ts";
import { cannedPieces, load, PLAIN, REQUIREMENTS, sha256, SYSTEM } from "../../support/hostile.ts";
import { compileWat } from "../../support/wat.ts";

const TARGET = { target: "host/server.example.test" };
const ALICE = { username: "alice", domain: "EXAMPLE", password: "secret" };
const pieces = await cannedPieces();

/** The canned provider with further text in its module. */
function cannedWith(text = ""): Uint8Array<ArrayBuffer> {
  return compileWat("canned", `(module {{canned}} ${text})`, [], pieces);
}

/** Asks for the colour of "sky" in its first leg, and sends the request of `resume` as its token. */
const ASKING = compileWat(
  "asking",
  `(module {{canned_as_helper}}
    (func (export "call") (param $p i32) (param $n i32) (result i64)
      (if (i32.ne (i32.load (local.get $p)) (i32.const 3))
        (then (return (call $answer (local.get $p) (local.get $n)))))
      (i64.store (i32.const 0x8000) (i64.const 0x010100000000))
      (i32.store (i32.const 0x8006) (i32.sub (local.get $n) (i32.const 4)))
      (memory.copy (i32.const 0x800a) (i32.add (local.get $p) (i32.const 4)) (i32.sub (local.get $n) (i32.const 4)))
      (i64.or (i64.const 0x800000000000) (i64.extend_i32_u (i32.add (local.get $n) (i32.const 6)))))
    (data (i32.const 0x1800) "\\13\\00\\00\\00" "\\02\\00\\00\\00" "\\00\\00\\00\\00" "\\01\\00\\00\\00" "\\03\\00\\00\\00sky"))`,
  [],
  pieces,
);

async function asking(colour: Answer): Promise<ProviderContext> {
  const provider = await loadProvider(ASKING, { sha256: await sha256(ASKING), answers: { colour } });
  return (await acquire(provider)).client(TARGET);
}

function acquire(
  provider: ContextProvider,
  change: Partial<AcquireOptions> = {},
): Promise<ProviderCredentials> {
  return provider.acquire({
    role: "client",
    system: SYSTEM,
    requirements: REQUIREMENTS,
    credentials: ALICE,
    ...change,
  });
}

/** The same in version 2, which can do all there is besides. */
const laterWith = (text = ""): Uint8Array<ArrayBuffer> =>
  compileWat("later", `(module {{canned_of_version_two}} ${text})`, [], pieces);

/** A finished context of the canned provider. */
async function finished(text = ""): Promise<ProviderContext> {
  const context = (await acquire(await load(cannedWith(text)))).client(TARGET);
  await context.step(null);
  return context;
}

const provider = await load(cannedWith());

test("a provider is available anywhere, and says what it offers", () => {
  assertEquals(provider.available({} as never), { available: true });
  assertEquals([provider.name, provider.description.isolation], ["canned", "sandboxed"]);
});

test("a module of version 1 loads, and its contexts have none of the members that came with version 2", async () => {
  const context = await finished();
  for (const member of ["wrapUnencrypted", "unwrapAny", "wrapSizeLimit", "peerIdentity"]) {
    assert(!(member in context), member);
  }
});

test("a server of version 2 may serve a client without channel bindings, and one of version 1 may not", async () => {
  const asServer = (body: string) => body.replace('\\"client\\":[\\"password', '\\"server\\":[\\"password');
  const step = async (piece: string, allowMissingBindings: boolean): Promise<boolean> => {
    const module = compileWat("server", `(module ${asServer(pieces[piece])})`, [], pieces);
    const credentials = await acquire(await load(module), { role: "server" });
    using context = credentials.server({ channelBindings: new Uint8Array(3), allowMissingBindings });
    await context.step(new Uint8Array(1));
    return context.attributes.channelBound;
  };
  assertEquals(await step("canned_of_version_two", true), false);
  for (
    const [piece, allowed] of [["canned_of_version_two", false], ["canned", true], ["canned", false]] as const
  ) {
    const error = await assertRejects(() => step(piece, allowed), SecurityRequirementError);
    assertEquals(error.required, "channelBindings");
  }
});

test("a module of version 2 has what it says under also, once the exchange is done, and nothing else", async () => {
  const context = (await acquire(await load(laterWith()))).client(TARGET);
  assertThrows(() => context.peerIdentity, StateError, "in the wrong state");
  assertThrows(() => context.wrapUnencrypted!(PLAIN, new Uint8Array(80)), StateError, "in the wrong state");
  assertThrows(() => context.unwrapAny!(new Uint8Array(80)), StateError, "in the wrong state");
  assertThrows(() => context.wrapSizeLimit!(64, true), StateError, "in the wrong state");
  await context.step(null);
  assertEquals([context.peerIdentity, "peerIdentity" in context], [undefined, true]);
  const out = new Uint8Array(PLAIN.length + 16);
  assertEquals(new TextDecoder().decode(context.wrapUnencrypted!(PLAIN, out)), "signed");
  const { data, encrypted } = context.unwrapAny!(out);
  assertEquals([new TextDecoder().decode(data), encrypted], ["open", false]);
  assertEquals(context.wrapSizeLimit!(64, true), 48);
  for (const wrong of [-1, 1.5, NaN, 2 ** 32]) {
    assertThrows(() => context.wrapSizeLimit!(wrong, true), RangeError, "recordBytes");
  }
  context.close();
  assertThrows(() => context.peerIdentity, StateError, "closed");
  const some = '\\"also\\":[\\"wrapSizeLimit\\"],', all = /\\"also\\":\[.*?\],/;
  const less = pieces.canned_of_version_two.replace(all, some).replace("\\c1\\01", "\\a0\\01");
  const sizes = await load(compileWat("sizes", `(module ${less})`, [], pieces));
  const other = (await acquire(sizes)).client(TARGET);
  assertEquals(["wrapSizeLimit", "unwrapAny", "peerIdentity"].map((name) => name in other), [
    true,
    false,
    false,
  ]);
});

test("an unencrypted record where encryption was agreed on passes unwrapAny() alone", async () => {
  const unencrypted =
    `(data (i32.const 0x2400) "\\0c\\00\\00\\00" "\\00\\00\\00\\00" "\\00\\00\\00\\00" "open")`;
  const context = (await acquire(await load(laterWith(unencrypted)))).client(TARGET);
  await context.step(null);
  assertEquals(context.unwrapAny!(new Uint8Array(20)).encrypted, false);
  const error = assertThrows(() => context.unwrap(new Uint8Array(20)), ProtocolError);
  assertEquals(error.reason, "not-encrypted");
  assertThrows(() => context.unwrapAny!(new Uint8Array(20)), StateError);
});

test("no more data is said to fit a record than one message to the guest holds", async () => {
  const text = `(data (i32.const 0x4000) "\\08\\00\\00\\00" "\\00\\00\\00\\00" "\\f0\\ff\\ff\\ff")`;
  const context = (await acquire(await load(laterWith(text)))).client(TARGET);
  await context.step(null);
  assertEquals(context.wrapSizeLimit!(0xffff_ffff, true), 128 * 1024 - 4 - 16);
});

test("credentials the provider cannot use are refused by name before a guest sees them", async () => {
  const refuse = (change: object, part: string) =>
    assertRejects(() => acquire(provider, change as Partial<AcquireOptions>), TypeError, part);
  await refuse({ role: "server" }, "role is server, which the provider canned does not support");
  await refuse({ credentials: undefined }, "credentials must be given");
  await refuse({ credentials: { keytab: "FILE:/etc/krb5.keytab" } }, "must be a user name and a password");
  await refuse({ credentials: { ...ALICE, username: "" } }, "credentials.username");
  await refuse({ credentials: { ...ALICE, domain: 1 } }, "credentials.domain");
  await refuse({ credentials: { ...ALICE, password: 1 } }, "credentials.password");
});

test("a question nobody answers is refused when credentials are acquired, not in the middle of a handshake", async () => {
  const mute = await load(cannedWith(), [], {});
  await assertRejects(() => acquire(mute), TypeError, 'asks "colour" (A colour.); give answers.colour');
});

test("what the provider does not offer is refused before it has seen the password", async () => {
  const refuse = async (wanted: object, required: string) => {
    const requirements = resolveRequirements({ mutualAuthentication: false, ...wanted });
    const error = await assertRejects(() => acquire(provider, { requirements }), SecurityRequirementError);
    assertEquals([error.required, error.got], [required, "not offered"]);
  };
  await refuse({ mutualAuthentication: true }, "mutualAuthentication");
  await refuse({ delegation: true }, "delegation");
});

test("an abandoned wait rejects with the reason that was given", async () => {
  const reason = new Error("never mind");
  assertEquals(await assertRejects(() => acquire(provider, { signal: AbortSignal.abort(reason) })), reason);
});

test("the guest's refusal of credentials rejects acquire, and is the guest's error", async () => {
  const refusing = await load(
    cannedWith(
      `(data (i32.const 0x1400) "\\0d\\00\\00\\00" "\\01\\00\\00\\00" "\\01\\02" "\\02\\00\\00\\00no" "\\00")`,
    ),
  );
  const error = await assertRejects(() => acquire(refusing), AuthenticationError);
  assertEquals([error.reason, error.message], ["bad-credentials", "canned: no"]);
});

test("password bytes are copied: the caller's may be zeroed at once, and are never changed", async () => {
  const password = new TextEncoder().encode("correct horse battery staple");
  const credentials = await acquire(provider, { credentials: { ...ALICE, password } });
  assertEquals(new TextDecoder().decode(password), "correct horse battery staple");
  credentials.client(TARGET).close();
  credentials.close();
  assertEquals(new TextDecoder().decode(password), "correct horse battery staple");
});

test("closed credentials make no contexts, and contexts made before stay usable", async () => {
  const credentials = await acquire(provider);
  const context = credentials.client(TARGET);
  credentials.close();
  credentials.close();
  assertThrows(() => credentials.client(TARGET), StateError, "are closed");
  await context.step(null);
  assert(context.done);
});

test("credentials serve the end they were acquired for, and a client names its server", async () => {
  using credentials = await acquire(provider);
  assertThrows(() => credentials.server({}), StateError, "acquired for a client");
  assertThrows(() => credentials.client({ target: "" }), TypeError, "target must be the server's SPN");
});

test("a finished context reports what was agreed, and works until it is closed", async () => {
  const context = await finished();
  const { mechanism, integrity, confidentiality, mutualAuthentication: mutual } = context.attributes;
  assertEquals([mechanism, integrity, confidentiality, mutual], ["canned", true, true, false]);
  assertEquals([context.peerName, context.requestedTarget, context.expiresAt], [
    "peer",
    undefined,
    undefined,
  ]);
  assertEquals(context.maxOverhead, 16);
  const record = context.wrap(PLAIN, new Uint8Array(PLAIN.length + 16));
  assertEquals(new TextDecoder().decode(record), "sealed");
  assertEquals(new TextDecoder().decode(context.unwrap(record.slice())), "open");
  assertEquals(new TextDecoder().decode(context.sign(PLAIN)), "sign");
  context.verify(PLAIN, new Uint8Array(4));
  const key = context.sessionKey();
  assertEquals(new TextDecoder().decode(key), "keys");
  key.fill(0);
  assertEquals(new TextDecoder().decode(context.sessionKey()), "keys");
  context.close();
  context.close();
  for (const use of [() => context.sign(PLAIN), () => context.attributes, () => context.sessionKey()]) {
    assertThrows(use, StateError, "the context is closed");
  }
});

/** What the canned provider tells of a finished context, with another mechanism. */
function claiming(mechanism: string): string {
  const word = (value: number) => `\\${value.toString(16).padStart(2, "0")}\\00\\00\\00`;
  const end = '"\\00" "\\00\\00\\00\\00\\00\\00\\00\\00" "\\10\\00\\00\\00"';
  return `(data (i32.const 0x3000) "${word(34 + mechanism.length)}" "${word(0)}" "${word(0x1e)}" "\\01"
    "${word(mechanism.length)}${mechanism}" "${word(4)}peer" ${end})`;
}

test("a mechanism is shown as the provider's own, whatever the module calls it", async () => {
  for (
    const [claimed, shown] of [["canned", "canned"], ["fast", "canned/fast"], ["canned-2", "canned/canned-2"]]
  ) {
    const context = (await acquire(await load(cannedWith(claiming(claimed))))).client(TARGET);
    await context.step(null);
    assertEquals(context.attributes.mechanism, shown);
    context.close();
  }
});

test("a module that claims a built-in mechanism is stopped, in whatever form it claims it", async () => {
  for (
    const claimed of ["kerberos", "ntlm", "negotiate", "ipsec", "krb5", "my kerberos", "n.t.l.m", "spneg0"]
  ) {
    const context = (await acquire(await load(cannedWith(claiming(claimed))))).client(TARGET);
    await assertRejects(() => context.step(null), ProviderTrapError, `it claims the mechanism ${claimed}`);
  }
});

test("nothing but step works before the exchange is done, and step does not work after", async () => {
  using context = (await acquire(provider)).client(TARGET);
  for (
    const use of [
      () => context.wrap(PLAIN, new Uint8Array(100)),
      () => context.unwrap(PLAIN.slice()),
      () => context.sign(PLAIN),
      () => context.verify(PLAIN, PLAIN),
      () => context.attributes,
      () => context.peerName,
      () => context.maxOverhead,
      () => context.sessionKey(),
    ]
  ) assertThrows(use, StateError, "the token exchange is not done");
  await context.step(null);
  await assertRejects(() => context.step(null), StateError, "is done already");
});

test("a record needs room, and asking without it harms nothing", async () => {
  const context = await finished();
  const out = new Uint8Array(PLAIN.length + 15);
  assertThrows(() => context.wrap(PLAIN, out), RangeError, "out has 79 bytes; it must have at least 80");
  assert(out.every((byte) => byte === 0));
  assertThrows(
    () => context.wrap(new Uint8Array(200_000), new Uint8Array(200_100)),
    RangeError,
    "limits.messageBytes",
  );
  context.wrap(PLAIN, new Uint8Array(80));
});

test("plain text never reaches out where wrapping fails, and the context is over", async () => {
  const context = await finished(
    `(data (i32.const 0x2000) "\\44\\00\\00\\00" "\\00\\00\\00\\00" "${"P".repeat(64)}")`,
  );
  const out = new Uint8Array(80);
  assertThrows(() => context.wrap(PLAIN, out), ProviderTrapError, "holds its plain text");
  assert(out.every((byte) => byte === 0));
  assertThrows(() => context.sign(PLAIN), StateError, "closed");
});

test("plain text too short to tell apart from chance is not looked for in its record", async () => {
  const context = await finished();
  const plain = new TextEncoder().encode("sealed");
  assertEquals(context.wrap(plain, new Uint8Array(30)), plain);
});

test("a record beyond all limits is the peer's fault and ends the context", async () => {
  const context = await finished();
  assertEquals(
    assertThrows(() => context.unwrap(new Uint8Array(200_000)), ProtocolError).reason,
    "oversized",
  );
  assertThrows(() => context.unwrap(new Uint8Array(10)), StateError, "closed");
  using other = (await acquire(provider)).client(TARGET);
  await assertRejects(() => other.step(new Uint8Array(200_000)), ProtocolError, "token of 200000 bytes");
});

test("a record that does not open ends the context, a signature that does not verify does not", async () => {
  const refusal = '"\\0d\\00\\00\\00" "\\01\\00\\00\\00" "\\02\\04" "\\02\\00\\00\\00no" "\\00"';
  const unopened = await finished(`(data (i32.const 0x2400) ${refusal})`);
  assertEquals(assertThrows(() => unopened.unwrap(new Uint8Array(20)), ProtocolError).reason, "altered");
  assertThrows(() => unopened.sign(PLAIN), StateError, "closed");
  const unverified = await finished(`(data (i32.const 0x2c00) ${refusal})`);
  assertThrows(() => unverified.verify(PLAIN, PLAIN), ProtocolError);
  unverified.sign(PLAIN);
});

test("channel bindings that were given must be proved", async () => {
  using credentials = await acquire(provider);
  const context = credentials.client({ ...TARGET, channelBindings: new Uint8Array(8) });
  const error = await assertRejects(() => context.step(null), SecurityRequirementError);
  assertEquals(error.required, "channelBindings");
  assertThrows(() => context.attributes, StateError);
});

test("a question reaches the application, and its answer the guest, in the exchange's own time", async () => {
  const asked: unknown[] = [];
  using context = await asking(async (fields) => {
    asked.push({ ...fields });
    await new Promise((resolve) => setTimeout(resolve, 1));
    return { is: Uint8Array.of(0, 0, 255) };
  });
  const { token, done } = await context.step(null);
  assertEquals(asked, [{ of: "sky" }]);
  assertEquals([...token!], [1, 1, 0, 0, 0, 3, 0, 0, 0, 0, 0, 255]);
  assert(done);
});

test("an answer that is not known reaches the guest as such", async () => {
  using context = await asking(() => null);
  assertEquals([...(await context.step(null)).token!], [0]);
});

test("an answer of the wrong shape, and a rejection, end the context with the application's own mistake", async () => {
  const refuse = async (answer: unknown, part: string) => {
    const context = await asking((() => answer) as Answer);
    await assertRejects(() => context.step(null), TypeError, part);
    await assertRejects(() => context.step(null), StateError, "closed");
  };
  await refuse(5, "answers.colour must return an object or null, not a number");
  await refuse(undefined, "or null, not undefined");
  await refuse({}, "answers.colour must return is as a Uint8Array");
  await refuse({ is: "blue" }, "answers.colour must return is as a Uint8Array");
  const reason = new Error("the directory is away");
  const context = await asking(() => Promise.reject(reason));
  assertEquals(await assertRejects(() => context.step(null)), reason);
});

test("while a question is open nothing else may be called, and closing answers it with an error of state", async () => {
  let answer: (value: { is: Uint8Array }) => void = () => {};
  const context = await asking(() => new Promise((resolve) => answer = resolve));
  const leg = context.step(null);
  await assertRejects(() => context.step(null), StateError, "a step is under way");
  assertThrows(() => context.sign(PLAIN), StateError, "a step is under way");
  context.close();
  answer({ is: new Uint8Array(1) });
  await assertRejects(() => leg, StateError, "closed");
});

test("the answers given to the guest are copies: the application's bytes stay its own", async () => {
  // A Buffer's slice() would be a view.
  for (const is of [Uint8Array.of(1, 2, 3), Buffer.from([1, 2, 3])]) {
    using context = await asking(() => ({ is }));
    await context.step(null);
    assertEquals([...is], [1, 2, 3]);
  }
});
