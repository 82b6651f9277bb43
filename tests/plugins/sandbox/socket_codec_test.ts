import { assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import { StateError } from "../../../errors.ts";
import { resolveRequirements } from "../../../plugins/requirements.ts";
import { type LoadedSocketCodec, loadSocketCodec } from "../../../plugins/sandbox/socket_codec.ts";
import { sha256 } from "../../support/hostile.ts";
import { tiny } from "../../support/tiny.ts";

async function codec(): Promise<LoadedSocketCodec> {
  const bytes = await tiny("tiny_codec.wat");
  return await loadSocketCodec(bytes, { sha256: await sha256(bytes) });
}

test("a socket codec makes settings, targets and templates, and reads answers", async () => {
  using one = await codec();
  const identity = { username: "alice", domain: "EXAMPLE", passwordBytes: 18 };
  const settings = one.settings(resolveRequirements({ mutualAuthentication: false }), identity);
  assertEquals([...settings], [3, 0, 0, 0, 18, 0, 0, 0]);
  assertEquals(new TextDecoder().decode(one.target(new Uint8Array(16), "host/x")), "host/x");
  assertEquals([...one.queryTemplate(new Uint8Array(16), 8)], [8, 0, 0, 0]);
  assertEquals(one.queryAnswer(Uint8Array.of(3)), { secured: true, encrypted: true, mutual: "unknown" });
  assertEquals(one.queryAnswer(Uint8Array.of(1)), { secured: true, encrypted: false, mutual: "unknown" });
});

test("what the guest cannot read is its error, and the codec works on", async () => {
  using one = await codec();
  assertThrows(() => one.queryAnswer(new Uint8Array(0)), TypeError, "tiny-codec");
  assertEquals(one.queryAnswer(Uint8Array.of(0)), { secured: false, encrypted: false, mutual: "unknown" });
});

test("results are copies: a later call does not change them", async () => {
  using one = await codec();
  const first = one.queryTemplate(new Uint8Array(0), 1);
  one.queryTemplate(new Uint8Array(0), 2);
  assertEquals([...first], [1, 0, 0, 0]);
});

test("names with half of a surrogate pair are refused by what they are, and the codec works on", async () => {
  using one = await codec();
  const requirements = resolveRequirements({ mutualAuthentication: false });
  const identity = { username: "alice", domain: "EXAMPLE", passwordBytes: 18 };
  for (const half of ["\ud83d", "\ude00"]) {
    for (const key of ["username", "domain"]) {
      assertThrows(
        () => one.settings(requirements, { ...identity, [key]: half }),
        TypeError,
        `identity.${key} holds half of a surrogate pair`,
      );
    }
    assertThrows(
      () => one.target(new Uint8Array(16), half),
      TypeError,
      "target holds half of a surrogate pair",
    );
  }
  assertEquals(new TextDecoder().decode(one.target(new Uint8Array(16), "host/x")), "host/x");
});

test("a closed codec says so", async () => {
  const one = await codec();
  one.close();
  one.close();
  assertThrows(() => one.queryTemplate(new Uint8Array(0), 1), StateError, "closed");
});

test("a template that watches is asked for by itself: a codec that knows nothing of it is left alone", async () => {
  using one = await codec();
  assertEquals([...one.queryTemplate(new Uint8Array(16), 8, [])], [8, 0, 0, 0]);
  // This codec takes the question for something else; what it writes is then refused by whoever asked.
  assertEquals(one.queryTemplate(new Uint8Array(16), 8, ["mainModeSa"]).length === 4, false);
});
