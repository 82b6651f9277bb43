/**
 * Half of a surrogate pair, which has no UTF-8: refused by the argument's name, before a system that may open nothing
 * is asked for anything.
 */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { test } from "@test";
import { cString, wideString } from "../../../ffi/mod.ts";
import { passwordUnits } from "../../../ffi/windows/password.ts";
import { acquireSspiCredentials } from "../../../ffi/security/sspi/credentials.ts";
import { openSystem } from "../../../ffi/system.ts";
import { kerberos, negotiate } from "../../../plugins/negotiate/mod.ts";
import type { Credentials } from "../../../contract.ts";
import { resolveRequirements } from "../../../plugins/requirements.ts";
import { FakeSecur32 } from "../../support/fake_secur32.ts";

const HALVES = ["zq\ud83d", "\ude00zq", "z\ude00\ud83dq"];

/** Who to be, with one text that is wrong, by its key. */
const identities = (half: string): readonly (readonly [string, Credentials])[] => [
  ["username", { username: half, password: "x" }],
  ["domain", { username: "alice", domain: half, password: "x" }],
  ["password", { username: "alice", password: half }],
  ["keytab", { keytab: `FILE:/${half}` }],
  ["principal", { keytab: "FILE:/x", principal: half }],
  ["cache", { cache: `FILE:/${half}` }],
];

for (const provider of [negotiate(), kerberos()]) {
  test(`${provider.name} refuses half of a surrogate pair in credentials by its key, and tells none of the text`, async () => {
    using system = openSystem({ grants: [] });
    const requirements = resolveRequirements();
    for (const [key, credentials] of HALVES.flatMap(identities)) {
      const error = await assertRejects(
        () => provider.acquire({ role: "client", system, requirements, credentials }),
        TypeError,
        `credentials.${key} holds half of a surrogate pair, which no keyboard types`,
      );
      assert(!/z|\p{Surrogate}/u.test(error.message.slice(error.message.indexOf("holds"))), error.message);
    }
  });
}

test("a context's target refuses it before the package sees it", async () => {
  const fake = new FakeSecur32();
  const request = {
    package: "negotiate",
    role: "client",
    excludeNtlm: true,
    requirements: resolveRequirements(),
  } as const;
  using credentials = await acquireSspiCredentials(fake.sspi, request, null);
  const calls = fake.calls.length;
  for (const half of HALVES) {
    assertThrows(
      () => credentials.client({ target: `host/${half}` }),
      TypeError,
      "holds half of a surrogate pair",
    );
  }
  assertEquals(fake.calls.length, calls);
});

test("a password as text is refused as one in bytes that are no UTF-8 is, and pairs are taken", () => {
  for (const half of HALVES) {
    assertThrows(() => passwordUnits(half), TypeError, "credentials.password holds half of a surrogate pair");
  }
  assertEquals(passwordUnits("\ud83d\ude00").length, 6);
});

test("a C string refuses what has no UTF-8; a wide one holds each unit as it is", () => {
  for (const half of HALVES) {
    assertThrows(() => cString(half), TypeError, "text holds half of a surrogate pair");
    const units = new Uint16Array(wideString(half).buffer);
    assertEquals(String.fromCharCode(...units), `${half}\0`);
  }
  assertEquals([...cString("\ud83d\ude00")], [0xf0, 0x9f, 0x98, 0x80, 0]);
});
