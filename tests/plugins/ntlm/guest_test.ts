/** The module that ships, with randomness and time that are known. */

import { assert, assertEquals } from "@std/assert";
import { test } from "@test";
import { createHash } from "node:crypto";
import { ntHash } from "../../../plugins/ntlm/mod.ts";
import { RawGuest } from "./raw_guest.ts";
import { negotiate, readChallenge } from "./reference.ts";
import * as vectors from "./vectors.ts";
import { utf16 } from "./vectors.ts";

const PASSWORD = "a long and unmistakable password";

/** Gives out `parts` one after the other. */
function script(...parts: Uint8Array[]): (bytes: Uint8Array) => void {
  return (bytes) => bytes.set(parts.shift() ?? new Uint8Array(bytes.length));
}

test("the server accepts the published message of [MS-NLMP] 4.2.4.3 and opens the published record", () => {
  const server = new RawGuest({ role: "server", random: script(vectors.SERVER_CHALLENGE) });
  const second = server.step(negotiate());
  assert(second.kind === "leg");
  assertEquals(readChallenge(second.token!).nonce, vectors.SERVER_CHALLENGE);
  const asked = server.step(vectors.AUTHENTICATE);
  assert(asked.kind === "needs");
  assertEquals(asked.fields.map((field) => new TextDecoder().decode(field)), [vectors.DOMAIN, vectors.USER]);
  assertEquals(server.resume(vectors.NT_HASH), { kind: "leg", done: true, token: null });
  assertEquals(server.sessionKey(), vectors.SESSION_KEY);
  assertEquals(server.attributes().peerName, "Domain\\User");
  const record = Uint8Array.from([...vectors.SIGNATURE, ...vectors.SEALED]);
  assertEquals(server.unwrap(record), vectors.PLAIN);
});

test("the client answers the published challenge with the published key, encrypted with its own", () => {
  const client = new RawGuest({
    role: "client",
    username: vectors.USER,
    domain: vectors.DOMAIN,
    password: vectors.PASSWORD,
    target: "host/Server",
    random: script(vectors.CLIENT_CHALLENGE, vectors.SESSION_KEY),
    clock: () => -11644473600000,
  });
  client.step(null);
  const challenge = vectors.CHALLENGE.slice();
  const third = client.step(challenge);
  assert(third.kind === "leg" && third.done);
  assertEquals(client.sessionKey(), vectors.SESSION_KEY);
  const record = client.wrap(vectors.PLAIN);
  assertEquals(record, Uint8Array.from([...vectors.SIGNATURE, ...vectors.SEALED]));
  const answer = new DataView(third.token!.buffer).getUint32(24, true);
  const blob = third.token!.slice(answer + 16);
  // The published blob, but for what this client adds: flags, bindings and target before the end.
  const shared = 28 + vectors.TARGET_INFO.length - 4;
  assertEquals(blob.slice(0, shared), vectors.BLOB.slice(0, shared));
});

test("the client's own clock is used if the server sends no time", () => {
  const client = new RawGuest({
    role: "client",
    username: "u",
    password: "p",
    clock: () => 1_600_000_000_123,
  });
  client.step(null);
  const third = client.step(vectors.CHALLENGE);
  assert(third.kind === "leg");
  const view = new DataView(third.token!.buffer), answer = view.getUint32(24, true);
  assertEquals(view.getBigUint64(answer + 24, true), (1_600_000_000_123n + 11_644_473_600_000n) * 10_000n);
});

for (const spnego of [false, true]) {
  test(`no password, hash or key is left behind, ${spnego ? "inside SPNEGO" : "raw"}`, () => {
    const hash = ntHash(PASSWORD), sessionKey = crypto.getRandomValues(new Uint8Array(16));
    const random = script(new Uint8Array(8).fill(3), sessionKey);
    const client = new RawGuest({
      role: "client",
      spnego,
      username: "alice",
      password: PASSWORD,
      target: "host/x",
      random,
    });
    const server = new RawGuest({ role: "server", spnego });
    const password = new TextEncoder().encode(PASSWORD);
    const both = (secret: Uint8Array) => [client.holds(secret), server.holds(secret)];
    assertEquals([both(password), both(utf16(PASSWORD))], [[false, false], [false, false]]);
    assertEquals(both(hash), [true, false], "the client's hash waits for the challenge");

    let token = client.step(null), asked = server.step((token as { token: Uint8Array }).token);
    token = client.step((asked as { token: Uint8Array }).token);
    assertEquals(both(hash), [false, false], "the client has answered");
    asked = server.step((token as { token: Uint8Array }).token);
    assertEquals(asked.kind, "needs");
    const last = server.resume(hash);
    assert(last.kind === "leg" && last.done);
    if (last.token) client.step(last.token);
    assertEquals(both(hash), [false, false], "the server has judged");

    const keys = ["client-to-server", "server-to-client"].flatMap((direction) =>
      ["signing", "sealing"].map((use) => {
        const purpose = `session key to ${direction} ${use} key magic constant\0`;
        return Uint8Array.from(createHash("md5").update(sessionKey).update(purpose).digest());
      })
    );
    server.unwrap(client.wrap(password));
    assertEquals(both(sessionKey), [true, true], "the session key serves");
    for (const key of keys) assertEquals(both(key), [false, false], "a derived key");
    assertEquals(both(password), [false, false], "the plain text of a record");
    client.release();
    server.release();
    assertEquals(both(sessionKey), [false, false], "the session is over");
  });
}
