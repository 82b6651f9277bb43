import { assert, assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { readFile } from "node:fs/promises";
import process from "node:process";
import {
  AuthenticationError,
  ProtocolError,
  ProviderTrapError,
  SecureSocketError,
  SecurityRequirementError,
  StateError,
} from "../../../errors.ts";
import * as abi from "../../../plugins/sandbox/abi.ts";
import {
  type AcquireRequest,
  readAttributes,
  readEmpty,
  readLeg,
  readPeer,
  readRest,
  readSessionKey,
  readSizeLimit,
  readUnwrap,
  writeAcquire,
  writeResume,
} from "../../../plugins/sandbox/messages.ts";
import { resolveRequirements } from "../../../plugins/requirements.ts";
import { Reader, Writer } from "../../../plugins/sandbox/wire.ts";

const READERS = [
  readAttributes,
  readEmpty,
  readLeg,
  readRest,
  readSessionKey,
  readSizeLimit,
  readUnwrap,
  (input: Reader, provider: string) => readPeer(input, provider, "EXAMPLE\\alice"),
] as const;

function reader(out: Writer): Reader {
  return new Reader(out.written, "step");
}

function error(kind: number, reason: number, message = "why", token?: Uint8Array): Reader {
  return reader(new Writer().u32(1).u8(kind).u8(reason).text(message).optionalBytes(token));
}

test("whatever bytes a guest answers, a reader gives a value or an error of this library", () => {
  const plausible = fc.tuple(fc.nat(3), fc.uint8Array({ maxLength: 80 })).map(([status, rest]) =>
    Uint8Array.from([status, 0, 0, 0, ...rest])
  );
  fc.assert(
    fc.property(
      fc.oneof(plausible, fc.uint8Array({ maxLength: 80 })),
      fc.constantFrom(...READERS),
      (bytes, read) => {
        try {
          read(new Reader(bytes, "step"), "guest");
        } catch (thrown) {
          assert(thrown instanceof SecureSocketError || thrown instanceof TypeError, String(thrown));
        }
      },
    ),
    { numRuns: 3000 },
  );
});

test("the request to acquire is laid out as the document says", () => {
  const out = new Writer();
  const request: AcquireRequest = {
    role: "client",
    requirements: resolveRequirements({ delegation: true }),
    target: "a/b",
    options: [
      { type: "absent" },
      { type: "boolean", value: true },
      { type: "integer", value: -1 },
      { type: "text", value: "t" },
      { type: "choice", value: 2 },
    ],
    credentials: { username: "u", domain: "", password: Uint8Array.of(7, 8) },
  };
  writeAcquire(out, request, 1);
  const first = [
    ...[1, 15, 0, 0, 0, 3], // client, all requirements, delegate
    ...[1, 3, 0, 0, 0, 97, 47, 98, 0], // target, no bindings
    ...[5, 0, 0, 0, 0, 1, 1, 2, 255, 255, 255, 255, 255, 255, 255, 255, 3, 1, 0, 0, 0, 116, 4, 2, 0, 0, 0],
    ...[1, 1, 0, 0, 0, 117, 0, 0, 0, 0, 2, 0, 0, 0, 7, 8],
  ];
  assertEquals([...out.written], first);
  for (const allowMissingBindings of [undefined, false, true]) {
    out.wipe();
    writeAcquire(out, { ...request, allowMissingBindings }, 2);
    assertEquals([...out.written], [...first, allowMissingBindings ? 1 : 0]);
  }
});

test("a server without credentials, and an answer that is not known, are written as such", () => {
  const out = new Writer();
  writeAcquire(out, {
    role: "server",
    requirements: resolveRequirements({ mutualAuthentication: false, impersonation: "anonymous" }),
    channelBindings: Uint8Array.of(5),
    options: [],
    credentials: null,
  }, 1);
  assertEquals([...out.written], [2, 3, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 5, 0, 0, 0, 0, 0]);
  out.wipe();
  writeResume(out, null);
  assertEquals([...out.written], [0]);
  out.wipe();
  writeResume(out, [Uint8Array.of(1, 2), new Uint8Array(0)]);
  assertEquals([...out.written], [1, 2, 0, 0, 0, 2, 0, 0, 0, 1, 2, 0, 0, 0, 0]);
});

/** The answer to `query` for the peer, from its flag on. */
function peerAnswer(write: (out: Writer) => void): Reader {
  const out = new Writer().u32(0);
  write(out);
  return new Reader(out.written.slice(), "query");
}

/** A peer with all there is; what is left out takes the ordinary value. */
function fullPeer(
  { user = "alice", sid = "S-1-5-21-1-2-3-1104", groups = ["S-1-5-32-545"], kind = 1 } = {},
): Reader {
  return peerAnswer((out) => {
    out.flag(true).u8(kind).text(user).text("EXAMPLE").optionalText(sid).flag(true).u32(groups.length);
    for (const group of groups) out.text(group);
    out.optionalText("alice@example.test").optionalText("Alice").optionalText("EX");
  });
}

test("a peer is read with all that is known of it, by the name of its attributes, and nothing where it proved none", () => {
  const name = "EXAMPLE\\alice";
  const peer = readPeer(fullPeer(), "guest", name)!;
  assertEquals(peer, {
    name,
    user: "alice",
    realm: "EXAMPLE",
    kind: "user",
    sid: "S-1-5-21-1-2-3-1104",
    groups: ["S-1-5-32-545"],
    upn: "alice@example.test",
    displayName: "Alice",
    netbiosDomain: "EX",
  });
  assert(Object.isFrozen(peer) && Object.isFrozen(peer.groups));
  const bare = (out: Writer) => out.flag(true).u8(0).text("alice").text("").rest(new Uint8Array(5));
  assertEquals(readPeer(peerAnswer(bare), "guest", "alice"), {
    name: "alice",
    user: "alice",
    realm: "",
    kind: "unknown",
  });
  assertEquals(readPeer(peerAnswer((out) => out.flag(false)), "guest", name), undefined);
  assertEquals(readPeer(fullPeer({ groups: [] }), "guest", name)!.groups, []);
});

test("a peer whose SIDs would not compare as text, or that is not as the document says, is a breach", () => {
  for (
    const sid of [
      ...[
        "",
        "S-1-5",
        "s-1-5-21-1",
        "S-1-5-021-1",
        "S-1-5-21-4294967296",
        "S-1-281474976710656-1",
        "S-2-5-21-1",
      ],
      ...["S-1-5-21-1 ", "S-1-0x5-21", `S-1-5${"-1".repeat(16)}`, "S-1-5--1", "S-1-5-21-1\n"],
    ]
  ) {
    assertThrows(() => readPeer(fullPeer({ sid }), "guest", "n"), ProviderTrapError, "SID");
    assertThrows(
      () => readPeer(fullPeer({ groups: ["S-1-1-0", sid] }), "guest", "n"),
      ProviderTrapError,
      "SID",
    );
  }
  for (const sid of ["S-1-1-0", "S-1-281474976710655-4294967295", `S-1-5${"-1".repeat(15)}`]) {
    assertEquals(readPeer(fullPeer({ sid }), "guest", "n")!.sid, sid);
  }
  const many = (count: number) => fullPeer({ groups: Array.from({ length: count }, () => "S-1-1-0") });
  assertEquals(readPeer(many(4096), "guest", "n")!.groups!.length, 4096);
  assertThrows(() => readPeer(many(4097), "guest", "n"), ProviderTrapError, "number of groups");
  assertThrows(() => readPeer(fullPeer({ kind: 4 }), "guest", "n"), ProviderTrapError, "kind of peer");
  assertThrows(() => readPeer(fullPeer({ user: "a\nb" }), "guest", "n"), ProviderTrapError, "control");
  assertThrows(() => readPeer(fullPeer({ user: "" }), "guest", "n"), ProviderTrapError, "no name");
  assertThrows(() => readPeer(fullPeer(), "guest", ""), ProviderTrapError, "no name");
  const left = (out: Writer) => out.flag(false).u8(0);
  assertThrows(() => readPeer(peerAnswer(left), "guest", "n"), ProviderTrapError, "follow the last field");
});

test("each class of error becomes the library's error, with the provider's name and its reason", () => {
  const token = Uint8Array.of(1, 2, 3);
  const failed = assertThrows(
    () => readLeg(error(1, 2, "wrong password", token), "ntlm"),
    AuthenticationError,
  );
  assertEquals([failed.reason, failed.message], ["bad-credentials", "ntlm: wrong password"]);
  assertEquals((failed as AuthenticationError & { token: Uint8Array }).token, token);
  assertEquals(assertThrows(() => readEmpty(error(2, 5), "ntlm"), ProtocolError).reason, "replayed");
  assertThrows(() => readEmpty(error(3, 0), "ntlm"), StateError, "ntlm: why");
  assertThrows(() => readEmpty(error(4, 0), "ntlm"), TypeError, "ntlm: why");
  const weak = assertThrows(() => readEmpty(error(5, 2), "ntlm"), SecurityRequirementError);
  assertEquals(weak.required, "mutualAuthentication");
});

test("an error that the document does not know is a breach of the ABI", () => {
  for (const [kind, reason] of [[0, 0], [6, 0], [1, 15], [2, 11], [3, 1], [4, 1], [5, 6], [255, 255]]) {
    assertThrows(() => readEmpty(error(kind, reason), "ntlm"), ProviderTrapError, "is not known");
  }
  assertThrows(
    () => readEmpty(error(2, 0, "why", Uint8Array.of(1)), "ntlm"),
    ProviderTrapError,
    "has a token",
  );
  assertThrows(() => readEmpty(error(1, 0, "x".repeat(513)), "ntlm"), ProviderTrapError, "are allowed");
});

test("a leg is done or has a token, and a question keeps its fields", () => {
  const leg = (done: boolean, token: Uint8Array | null) =>
    reader(new Writer().u32(0).flag(done).optionalBytes(token));
  assertEquals(readLeg(leg(true, null), "g"), { kind: "leg", done: true, token: null });
  assertEquals(readLeg(leg(false, Uint8Array.of(1)), "g"), {
    kind: "leg",
    done: false,
    token: Uint8Array.of(1),
  });
  assertThrows(() => readLeg(leg(false, null), "g"), ProviderTrapError, "neither done");
  const question = new Writer().u32(2).u32(3).u32(2).bytes(Uint8Array.of(9)).bytes(new Uint8Array(0));
  assertEquals(readLeg(reader(question), "g"), {
    kind: "needs",
    question: 3,
    fields: [Uint8Array.of(9), new Uint8Array(0)],
  });
});

test("what is read of a response is a copy where it outlives the call", () => {
  const bytes = new Writer().u32(0).flag(true).optionalBytes(Uint8Array.of(1, 2)).written;
  const leg = readLeg(new Reader(bytes, "step"), "g");
  bytes.fill(0);
  assert(leg.kind === "leg");
  assertEquals(leg.token, Uint8Array.of(1, 2));
});

test("attributes are read with every flag in its place", () => {
  for (const [name, bit] of Object.entries(abi.AttributeFlag)) {
    const out = new Writer().u32(0).u32(bit).u8(2).text("ntlm").text("D\\u").optionalText("h/x").i64(1000)
      .u32(16);
    const { agreed, ...rest } = readAttributes(reader(out), "g");
    const { mechanism, impersonation, ...flags } = agreed;
    assertEquals([mechanism, impersonation], ["ntlm", "impersonate"]);
    const set = Object.entries(flags).filter(([, value]) => value).map(([key]) => key);
    assertEquals(set, [name === "mutual" ? "mutualAuthentication" : name]);
    assertEquals(rest, {
      peerName: "D\\u",
      requestedTarget: "h/x",
      expiresAt: new Date(1000),
      maxOverhead: 16,
    });
  }
});

test("a context ends at the last moment that a Date can hold, and one millisecond later is refused", () => {
  const attributes = (expires: number) =>
    readAttributes(
      reader(
        new Writer().u32(0).u32(0).u8(0).text("x").text("y").optionalText(undefined).i64(expires).u32(0),
      ),
      "g",
    );
  assertEquals(attributes(8_640_000_000_000_000).expiresAt, new Date(8_640_000_000_000_000));
  assertThrows(() => attributes(8_640_000_000_000_001), ProviderTrapError, "beyond any date");
});

test("the numbers of the AssemblyScript SDK are the host's", async () => {
  const text = await readFile(`${process.cwd()}/plugins/sdk/assembly/abi.ts`, "utf8");
  const enums = new Map<string, Record<string, number>>();
  for (const [, name, body] of text.matchAll(/export enum (\w+) \{([^}]*)\}/g)) {
    const members = [...body.matchAll(/(\w+) = (\d+)/g)].map(([, key, value]) => [lower(key), Number(value)]);
    enums.set(name, Object.fromEntries(members));
  }
  const { socketSettings: _s, socketTarget: _t, socketQuery: _q, ...operations } = abi.Operation;
  assertEquals(enums.get("Op"), operations);
  assertEquals(enums.get("Status"), abi.Status);
  assertEquals(enums.get("Query"), abi.Query);
  assertEquals(enums.get("PeerKind"), numbered(abi.PEER_KINDS));
  assertEquals(enums.get("Requirement"), abi.RequirementFlag);
  assertEquals(enums.get("Attribute"), abi.AttributeFlag);
  assertEquals(enums.get("ErrorClass"), abi.ErrorClass);
  assertEquals(enums.get("Impersonation"), numbered(abi.IMPERSONATION));
  assertEquals(enums.get("AuthenticationReason"), numbered(abi.AUTHENTICATION_REASONS));
  assertEquals(enums.get("ProtocolReason"), numbered(abi.PROTOCOL_REASONS));
  assertEquals(enums.get("RequirementReason"), numbered(abi.REQUIREMENT_REASONS));
  assert(text.includes(`ABI_VERSION: i32 = ${abi.ABI_VERSION};`));
});

test("the document's tables of reasons are the host's", async () => {
  const text = await readFile(`${process.cwd()}/plugins/sandbox/abi.md`, "utf8");
  for (const reasons of [abi.AUTHENTICATION_REASONS, abi.PROTOCOL_REASONS, abi.REQUIREMENT_REASONS]) {
    assert(text.includes(reasons.map((reason, index) => `${index} ${reason}`).join(", ")));
  }
});

function lower(name: string): string {
  return name[0].toLowerCase() + name.slice(1);
}

function numbered(names: readonly string[]): Record<string, number> {
  const camel = (name: string) => name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
  return Object.fromEntries(names.map((name, index) => [camel(name), index]));
}
