/**
 * Lone surrogates, which UTF-8 cannot encode: refused by the argument's name before any native call.
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

/** Credentials with one invalid text, by its key. */
const identities = (half: string): readonly (readonly [string, Credentials])[] => [
  ["username", { username: half, password: "x" }],
  ["domain", { username: "alice", domain: half, password: "x" }],
  ["password", { username: "alice", password: half }],
  ["keytab", { keytab: `FILE:/${half}` }],
  ["principal", { keytab: "FILE:/x", principal: half }],
  ["cache", { cache: `FILE:/${half}` }],
];

for (const provider of [negotiate(), kerberos()]) {
  test(`${provider.name}() refuses a lone surrogate in credentials by its key, without the text in the message`, async () => {
    using system = openSystem({ grants: [] });
    const requirements = resolveRequirements();
    for (const [key, credentials] of HALVES.flatMap(identities)) {
      const error = await assertRejects(
        () => provider.acquire({ role: "client", system, requirements, credentials }),
        TypeError,
        `credentials.${key} contains a lone surrogate, which no keyboard types`,
      );
      assert(!/z|\p{Surrogate}/u.test(error.message.slice(error.message.indexOf("contains"))), error.message);
    }
  });
}

test("client() refuses a lone surrogate in the target before the package gets it", async () => {
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
      "contains a lone surrogate",
    );
  }
  assertEquals(fake.calls.length, calls);
});

test("passwordUnits() refuses a lone surrogate as it refuses bytes that are not UTF-8, and accepts pairs", () => {
  for (const half of HALVES) {
    assertThrows(() => passwordUnits(half), TypeError, "credentials.password contains a lone surrogate");
  }
  assertEquals(passwordUnits("\ud83d\ude00").length, 6);
});

test("cString() refuses a lone surrogate; wideString() keeps every unit", () => {
  for (const half of HALVES) {
    assertThrows(() => cString(half), TypeError, "text contains a lone surrogate");
    const units = new Uint16Array(wideString(half).buffer);
    assertEquals(String.fromCharCode(...units), `${half}\0`);
  }
  assertEquals([...cString("\ud83d\ude00")], [0xf0, 0x9f, 0x98, 0x80, 0]);
});
