import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { AuthenticationError, ProtocolError } from "../../errors.ts";
import { createRegistry } from "../../plugins/registry.ts";
import { encodeErrorCode, encodeHandshake } from "../../sockets/framing.ts";
import { secure } from "../../sockets/secure.ts";
import type { SecureConn } from "../../sockets/secure_conn.ts";
import { MemoryTransport } from "../support/memory_transport.ts";
import { receiveRecord, sendRecord, spellRecords } from "../support/raw_peer.ts";
import { type ToyFaults, toyProvider, toySystem } from "../support/toy_provider.ts";

interface Scene {
  conn: Promise<SecureConn>;
  own: MemoryTransport;
  peer: MemoryTransport;
  provider: ReturnType<typeof toyProvider>;
}

/** One end of this library, and the other end of its transport for the test to misbehave on. */
function scene(role: "client" | "server", faults: ToyFaults = {}): Scene {
  const [own, peer] = MemoryTransport.pair();
  const provider = toyProvider(faults);
  const common = { registry: createRegistry([provider]), system: toySystem() };
  const conn = secure(own, role === "client" ? { role, target: "host/x", ...common } : { role, ...common });
  conn.catch(() => {});
  return { conn, own, peer, provider };
}

async function assertOver({ conn, own, provider }: Scene): Promise<void> {
  await conn.catch(() => {});
  assertEquals(own.closes, 1);
  assertEquals(provider.ledger.live, 0);
  assert(provider.ledger.contextCloses.every((closes) => closes === 1));
}

const CODES: [string, Uint8Array, string][] = [
  ["1790 as .NET up to 6 writes it", encodeErrorCode(1790), "1790 (it requires another protection"],
  [
    "1790 as .NET 7 and later write it",
    encodeErrorCode(1790).reverse(),
    "1790 (it requires another protection",
  ],
  ["SEC_E_LOGON_DENIED", encodeErrorCode(0x8009030c), "0x8009030c (SEC_E_LOGON_DENIED"],
  ["SEC_E_UNSUPPORTED_FUNCTION", encodeErrorCode(0x80090302), "use the same provider on both ends"],
  ["a code nobody knows", encodeErrorCode(0x12345678), "with 0x12345678. "],
  ["no code", new Uint8Array(), "without a code. "],
  ["a code cut short", new Uint8Array(7), "without a code. "],
];
const REASON_IS_AT = {
  client: "The server's log has the reason",
  server: "The client's own error has the reason",
};

for (const role of ["client", "server"] as const) {
  for (const [what, payload, text] of CODES) {
    test(`a peer's error record with ${what} ends the ${role} with peer-refused and no answer`, async () => {
      const one = scene(role);
      if (role === "client") await receiveRecord(one.peer);
      const before = one.own.sent.length;
      await sendRecord(one.peer, "error", payload);
      const error = await assertRejects(() => one.conn, AuthenticationError, text);
      assertEquals(error.reason, "peer-refused");
      assertStringIncludes(error.message, REASON_IS_AT[role]);
      assertEquals(one.own.sent.length, before);
      await assertOver(one);
    });
  }

  test(`a peer of the ${role} that closes at once, in a header or in a token is reported as peer-closed`, async () => {
    const record = encodeHandshake("in-progress", new Uint8Array(100));
    for (const size of [0, 1, 4, 5, 104]) {
      const one = scene(role);
      if (role === "client") await receiveRecord(one.peer);
      await one.peer.write(record.subarray(0, size));
      await one.peer.closeWrite();
      const error = await assertRejects(() => one.conn, AuthenticationError, "closed the connection during");
      assertEquals(error.reason, "peer-closed");
      assertStringIncludes(error.message, REASON_IS_AT[role]);
      await assertOver(one);
    }
  });

  test(`a peer of the ${role} that uses another protocol is recognised, and gets an error record`, async () => {
    const one = scene(role);
    if (role === "client") await receiveRecord(one.peer);
    await one.peer.write(new TextEncoder().encode("SSH-2.0-OpenSSH_9.2\r\n"));
    const error = await assertRejects(() => one.conn, ProtocolError, "first byte 0x53");
    assertEquals(error.reason, "malformed");
    assertEquals(spellRecords(one.own.sent).at(-1), "error:8");
    await assertOver(one);
  });

  test(`an empty token where the ${role} needs one is a ProtocolError`, async () => {
    for (const kind of ["in-progress", "done"] as const) {
      const one = scene(role);
      if (role === "client") await receiveRecord(one.peer);
      await sendRecord(one.peer, kind);
      assertEquals((await assertRejects(() => one.conn, ProtocolError)).reason, "empty");
      await assertOver(one);
    }
  });

  test(`a token of random bytes, up to the longest, is refused by the ${role}'s provider`, async () => {
    for (const size of [1, 31, 32, 33, 4096, 0xffff]) {
      const one = scene(role);
      if (role === "client") await receiveRecord(one.peer);
      await sendRecord(one.peer, role === "client" ? "done" : "in-progress", new Uint8Array(size).fill(7));
      const error = await assertRejects(() => one.conn, AuthenticationError);
      assertEquals(error.reason, "bad-token");
      await assertOver(one);
    }
  });
}

test("any bytes sent to a server end in a typed error, and nothing is left open", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uint8Array({ maxLength: 40 }),
      fc.constantFrom(0x14, 0x15, 0x16, null),
      async (bytes, id) => {
        const one = scene("server");
        if (id !== null && bytes.length > 0) bytes[0] = id;
        one.peer.inject(bytes);
        await one.peer.closeWrite();
        const error = await one.conn.catch((error) => error);
        assert(["AuthenticationError", "ProtocolError"].includes(error.name), String(error));
        await assertOver(one);
      },
    ),
    { numRuns: 200 },
  );
});

test("a peer that sends no whole token costs a server no context of the provider", async () => {
  const one = scene("server");
  await one.peer.write(encodeHandshake("in-progress", new Uint8Array(50)).subarray(0, 54));
  await one.peer.closeWrite();
  await assertRejects(() => one.conn, AuthenticationError);
  assertEquals(one.provider.ledger.contexts, 0);
  await assertOver(one);
});

test("a peer that sends done while another token is due is refused", async () => {
  const one = scene("server", { tokens: 3 });
  const helper = scene("client", { tokens: 3 });
  const first = (await receiveRecord(helper.peer))!;
  await sendRecord(one.peer, "done", first.token);
  const error = await assertRejects(() => one.conn, ProtocolError, "another token is due");
  assertEquals(error.reason, "unexpected-message");
  helper.peer.close();
  await assertOver(one);
  await assertOver(helper);
});

test("a server that sends done while the client still has a token for it is refused", async () => {
  const client = scene("client", { tokens: 3 });
  const server = scene("server", { tokens: 3 });
  await sendRecord(server.peer, "in-progress", (await receiveRecord(client.peer))!.token);
  await sendRecord(client.peer, "done", (await receiveRecord(server.peer))!.token);
  const error = await assertRejects(() => client.conn, ProtocolError, "a token for it is left");
  assertEquals(error.reason, "unexpected-message");
  server.peer.close();
  await assertOver(client);
  await assertOver(server);
});

test("a client that is done accepts only done as an answer", async () => {
  const one = scene("client", { tokens: 1 });
  await receiveRecord(one.peer);
  await sendRecord(one.peer, "in-progress", Uint8Array.of(1));
  const error = await assertRejects(() => one.conn, ProtocolError, "exchange was complete");
  assertEquals(error.reason, "unexpected-message");
  await assertOver(one);
});

test("a client that is done ignores the token of the server's done, as specified", async () => {
  const one = scene("client", { tokens: 1 });
  await receiveRecord(one.peer);
  await sendRecord(one.peer, "done", Uint8Array.of(1, 2, 3));
  const conn = await one.conn;
  await conn.close();
  await assertOver(one);
});

test("a token with one bit flipped is refused by the server's provider", async () => {
  const client = scene("client");
  const token = (await receiveRecord(client.peer))!.token;
  client.peer.close();
  await assertOver(client);
  const flipped = token.slice();
  flipped[flipped.length - 1] ^= 1;
  const server = scene("server");
  await sendRecord(server.peer, "in-progress", flipped);
  assertEquals((await assertRejects(() => server.conn, AuthenticationError)).reason, "bad-token");
  await assertOver(server);
});

test("text from a peer never breaks a line of the error message that contains it", async () => {
  const [own, peer] = MemoryTransport.pair();
  const provider = toyProvider();
  const common = { registry: createRegistry([provider]), system: toySystem() };
  const conn = secure(own, { role: "server", acceptedTargets: ["host/x"], ...common });
  const credentials = await provider.acquire({
    role: "client",
    system: toySystem(),
    requirements: createRegistry([provider]).select({}, toySystem().capabilities()).requirements,
  });
  const context = credentials.client({ target: "host/x\nALL IS WELL" });
  await sendRecord(peer, "in-progress", (await context.step(null)).token!);
  const error = await assertRejects(() => conn, AuthenticationError);
  assertStringIncludes(error.message, "host/x\\nALL IS WELL");
  context.close();
  credentials.close();
});

test("a client that gave up is not reported to have refused credentials", async () => {
  for (
    const [code, words] of [[0x8009030c, "could not continue"], [
      0x80090303,
      "could not find the target name",
    ]] as const
  ) {
    const one = scene("server");
    await sendRecord(one.peer, "error", encodeErrorCode(code));
    const error = await assertRejects(
      () => one.conn,
      AuthenticationError,
      "The client gave up the handshake",
    );
    assertStringIncludes(error.message, words);
    assert(!error.message.includes("credentials"), error.message);
    await assertOver(one);
  }
});
