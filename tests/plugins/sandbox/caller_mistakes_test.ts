/** Mistakes of the caller: told before the guest is asked, with the connection as it was. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { test } from "@test";
import { ntlm } from "../../../plugins/ntlm/mod.ts";
import type { ContextProvider, ProviderCredentials } from "../../../contract.ts";
import type { QuestionDescription } from "../../../plugins/sandbox/description.ts";
import { ask } from "../../../plugins/sandbox/questions.ts";
import { REQUIREMENTS, SYSTEM } from "../../support/hostile.ts";
import { pair } from "../ntlm/pair.ts";

const HALF = "zq\ud800zq";

async function acquire(
  credentials: { username?: string; domain?: string; password?: string },
  provider: ContextProvider = ntlm(),
): Promise<ProviderCredentials> {
  return await provider.acquire({
    role: "client",
    system: SYSTEM,
    requirements: REQUIREMENTS,
    credentials: { username: "alice", domain: "EXAMPLE", password: "secret", ...credentials },
  });
}

test("a text whose record would be over the limit is refused, and the context continues", async () => {
  using ends = await pair({ client: { ntlm: { limits: { messageBytes: 4096 } } } });
  const { client, server } = ends, out = new Uint8Array(5000);
  const most = 4096 - 4 - client.maxOverhead;
  for (const length of [most + 1, 4092, 4093]) {
    const error = assertThrows(() => client.wrap(new Uint8Array(length), out), RangeError);
    assert(error.message.includes(`at most ${most}`), error.message);
  }
  const plain = new Uint8Array(most).fill(7);
  assertEquals(server.unwrap(client.wrap(plain, out).slice()), plain);
});

test("names, targets, passwords and options with half of a surrogate pair are refused, not replaced", async () => {
  for (const key of ["username", "domain", "password"]) {
    const error = await assertRejects(() => acquire({ [key]: HALF }), TypeError);
    assert(error.message.includes(`credentials.${key}`), error.message);
    assert(!error.message.includes("zq"), error.message);
  }
  using credentials = await acquire({});
  assertThrows(() => credentials.client({ target: `host/${HALF}` }), TypeError, "target");
  await assertRejects(() => acquire({}, ntlm({ workstation: HALF })), TypeError, "workstation");
});

test("channel bindings that are not bytes are refused", async () => {
  using credentials = await acquire({});
  for (const wrong of ["tls-unique:abc", "", new Uint8Array(0), new ArrayBuffer(4), [1, 2], null]) {
    assertThrows(
      () => credentials.client({ target: "host/x", channelBindings: wrong as unknown as Uint8Array }),
      TypeError,
      "channelBindings",
    );
  }
});

test("an answer that is refused for a later field leaves nothing of the earlier ones", async () => {
  const question: QuestionDescription = {
    name: "keys",
    roles: ["server"],
    fields: [],
    answers: [{ name: "first", type: "bytes", length: 16 }, { name: "second", type: "bytes", length: 16 }],
    doc: "Two keys.",
  };
  const copies: Uint8Array[] = [], filled: Uint8Array[] = [];
  const key = new Uint8Array(16).fill(9), fill = Uint8Array.prototype.fill;
  const answers = { keys: () => ({ first: key, second: new Uint8Array(15) }) };
  const asked = { kind: "needs", question: 0, fields: [] } as const;
  Uint8Array.prototype.fill = function (...parameters) {
    if (this.length === 16) {
      copies.push(Uint8Array.from(this));
      filled.push(this);
    }
    return fill.apply(this, parameters);
  };
  try {
    await assertRejects(() => ask([question], answers, "server", asked), TypeError, "second");
  } finally {
    Uint8Array.prototype.fill = fill;
  }
  // One copy of the key was made; it held the key, and holds it no longer.
  assertEquals(copies, [new Uint8Array(16).fill(9)]);
  assertEquals(filled, [new Uint8Array(16)]);
  assertEquals(key[0], 9);
});

test("a text answer with half of a surrogate pair is refused", async () => {
  const question: QuestionDescription = {
    name: "colour",
    roles: ["server"],
    fields: [],
    answers: [{ name: "is", type: "text" }],
    doc: "A colour.",
  };
  const asked = { kind: "needs", question: 0, fields: [] } as const;
  await assertRejects(
    () => ask([question], { colour: () => ({ is: HALF }) }, "server", asked),
    TypeError,
    "surrogate",
  );
});
