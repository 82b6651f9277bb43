import { assert, assertEquals, assertRejects } from "@std/assert";
import { test } from "@test";
import { AuthenticationError } from "../../../errors.ts";
import { client, PASSWORD, server, shake, wrap } from "./pair.ts";
import { RawGuest } from "./raw_guest.ts";
import { join } from "./reference.ts";

const SPNEGO = { ntlm: { spnego: true } };
const OID = {
  spnego: [0x2b, 0x06, 0x01, 0x05, 0x05, 0x02],
  ntlm: [0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x37, 0x02, 0x02, 0x0a],
  kerberos: [0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 0x01, 0x02, 0x02],
};
const STATE = { completed: 0, incomplete: 1, reject: 2, requestMic: 3 };

/** One DER element. */
function der(tag: number, ...parts: (Uint8Array | number[])[]): Uint8Array {
  const body = join(...parts.map((part) => Uint8Array.from(part)));
  const head = body.length < 128 ? [body.length] : [0x82, body.length >> 8, body.length & 255];
  return join(Uint8Array.of(tag, ...head), body);
}

const list = (...mechanisms: number[][]) => der(0x30, ...mechanisms.map((oid) => der(0x06, oid)));

function init(mechanisms: Uint8Array, message: Uint8Array | null): Uint8Array {
  const fields = [der(0xa0, mechanisms), ...(message ? [der(0xa2, der(0x04, message))] : [])];
  return der(0x60, der(0x06, OID.spnego), der(0xa0, der(0x30, ...fields)));
}

interface Reply {
  state?: number;
  mechanism?: number[];
  message?: Uint8Array;
  code?: Uint8Array;
}

function reply({ state, mechanism, message, code }: Reply): Uint8Array {
  return der(
    0xa1,
    der(
      0x30,
      ...(state === undefined ? [] : [der(0xa0, der(0x0a, [state]))]),
      ...(mechanism === undefined ? [] : [der(0xa1, der(0x06, mechanism))]),
      ...(message === undefined ? [] : [der(0xa2, der(0x04, message))]),
      ...(code === undefined ? [] : [der(0xa3, der(0x04, code))]),
    ),
  );
}

/** The fields of a reply, by the number of their tag. */
function fields(token: Uint8Array): Map<number, Uint8Array> {
  const element = (at: number) => {
    let length = token[at + 1], head = 2;
    if (length >= 128) {
      head += length & 127;
      length = token.slice(at + 2, at + head).reduce((sum, byte) => sum * 256 + byte, 0);
    }
    return { start: at + head, end: at + head + length };
  };
  const found = new Map<number, Uint8Array>(), sequence = element(element(0).start);
  for (let at = sequence.start; at < sequence.end; at = element(at).end) {
    const inner = element(element(at).start);
    found.set(token[at] - 0xa0, token.slice(inner.start, inner.end));
  }
  return found;
}

/** NTLM without SPNEGO, to carry by hand. */
function bareClient(): RawGuest {
  return new RawGuest({
    role: "client",
    username: "alice",
    domain: "EXAMPLE",
    password: PASSWORD,
    target: "host/x",
  });
}

function next(guest: RawGuest, message: Uint8Array | null): Uint8Array {
  const answer = guest.step(message);
  assert(answer.kind === "leg" && answer.token);
  return answer.token;
}

test("tokens are those of RFC 4178: one mechanism, a signed list, and an end that says so", async () => {
  using a = await client(SPNEGO), b = await server(SPNEGO);
  const tokens: Uint8Array[] = [];
  await shake(a, b, (token) => (tokens.push(token), token));
  assertEquals(tokens.length, 4);
  assertEquals(tokens[0], init(list(OID.ntlm), tokens[0].slice(-40)));
  const [second, third, fourth] = tokens.slice(1).map(fields);
  assertEquals([...second.keys()], [0, 1, 2]);
  assertEquals([second.get(0)![0], [...second.get(1)!]], [STATE.incomplete, OID.ntlm]);
  assertEquals([...third.keys()], [0, 2, 3]);
  assertEquals([...fourth.keys()], [0, 3]);
  assertEquals(fourth.get(0)![0], STATE.completed);
});

test("a client that prefers Kerberos is asked for NTLM, and its whole list is signed", async () => {
  using context = await server(SPNEGO);
  const mechanisms = list(OID.kerberos, OID.ntlm), bare = bareClient();
  const first = await context.step(init(mechanisms, Uint8Array.of(1, 2, 3)));
  const asked = fields(first.token!);
  assertEquals([asked.get(0)![0], [...asked.get(1)!], asked.has(2)], [STATE.requestMic, OID.ntlm, false]);
  const second = await context.step(reply({ message: next(bare, null) }));
  const third = next(bare, fields(second.token!).get(2)!);
  const last = await context.step(reply({ message: third, code: bare.sign(mechanisms) }));
  assert(last.done);
  const end = fields(last.token!);
  assertEquals(end.get(0)![0], STATE.completed);
  bare.verify(end.get(3)!, mechanisms);
  assertEquals(context.peerName, "EXAMPLE\\alice");
});

test("the cipher continues where it was before the list was signed, and so do the sequence numbers", async () => {
  using context = await server(SPNEGO);
  const mechanisms = list(OID.ntlm), bare = bareClient();
  const first = await context.step(init(mechanisms, next(bare, null)));
  const third = next(bare, fields(first.token!).get(2)!);
  await context.step(reply({ message: third, code: bare.sign(mechanisms) }));
  // The bare client's cipher has moved on by the eight bytes of its signature: its next record must not open.
  const error = await assertRejects(() =>
    Promise.resolve().then(() => context.unwrap(bare.wrap(Uint8Array.of(1))))
  );
  assertEquals((error as Error & { reason: string }).reason, "altered");
  using a = await client(SPNEGO), b = await server(SPNEGO);
  await shake(a, b);
  const record = wrap(a, Uint8Array.of(1));
  assertEquals(new DataView(record.buffer).getUint32(12, true), 1);
  assertEquals(b.unwrap(record), Uint8Array.of(1));
});

test("a list of mechanisms that was shortened in transit is detected by its signature", async () => {
  using context = await server(SPNEGO);
  const offered = list(OID.kerberos, OID.ntlm), arrived = list(OID.ntlm), bare = bareClient();
  const first = await context.step(init(arrived, next(bare, null)));
  const third = next(bare, fields(first.token!).get(2)!);
  const error = await assertRejects(
    () => context.step(reply({ message: third, code: bare.sign(offered) })),
    AuthenticationError,
    "did not sign the list",
  );
  assertEquals(error.reason, "bad-token");
});

test("a client that does not sign the list is refused, and so is a server", async () => {
  using context = await server(SPNEGO);
  const mechanisms = list(OID.ntlm), bare = bareClient();
  const first = await context.step(init(mechanisms, next(bare, null)));
  const third = next(bare, fields(first.token!).get(2)!);
  await assertRejects(
    () => context.step(reply({ message: third })),
    AuthenticationError,
    "did not sign the list",
  );

  for (const code of [undefined, new Uint8Array(16), new Uint8Array(15)]) {
    using a = await client(SPNEGO), b = await server(SPNEGO);
    const bend = (token: Uint8Array, index: number) =>
      index === 3 ? reply({ state: STATE.completed, ...(code ? { code } : {}) }) : token;
    await assertRejects(() => shake(a, b, bend), AuthenticationError, "did not sign the list");
  }
});

test("a client that does not offer NTLM is refused with a token that says so", async () => {
  using context = await server(SPNEGO);
  const error = await assertRejects(
    () => context.step(init(list(OID.kerberos), Uint8Array.of(1))),
    AuthenticationError,
    "offers no NTLM",
  );
  assertEquals(error.reason, "mechanism");
  const { token } = error as AuthenticationError & { token: Uint8Array };
  assertEquals(fields(token).get(0)![0], STATE.reject);
});

test("a server that chooses what was not offered, ends early or never, is refused", async () => {
  const bent: [Reply, string][] = [
    [{ state: STATE.incomplete, mechanism: OID.kerberos, message: Uint8Array.of(1) }, "mechanism"],
    [{ state: STATE.incomplete, message: Uint8Array.of(1) }, "mechanism"],
    [{ state: STATE.completed, mechanism: OID.ntlm }, "bad-token"],
    [{ mechanism: OID.ntlm }, "bad-token"],
    [{ state: STATE.incomplete, mechanism: OID.ntlm }, "bad-token"],
    [{ state: STATE.reject }, "peer-refused"],
  ];
  for (const [answer, reason] of bent) {
    using context = await client(SPNEGO);
    await context.step(null);
    const error = await assertRejects(() => context.step(reply(answer)), AuthenticationError);
    assertEquals(error.reason, reason, JSON.stringify(answer));
  }
  for (const state of [STATE.incomplete, STATE.requestMic]) {
    using a = await client(SPNEGO), b = await server(SPNEGO);
    const bend = (token: Uint8Array, index: number) =>
      index === 3 ? reply({ state, code: fields(token).get(3)! }) : token;
    await assertRejects(() => shake(a, b, bend), AuthenticationError, "does not end the exchange");
  }
});
