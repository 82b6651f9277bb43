import { assert, assertEquals } from "@std/assert";
import { test } from "@test";
import { readFileSync } from "node:fs";
import { guestModule } from "../../../plugins/ntlm/guest_wasm.ts";
import { ntHash } from "../../../plugins/ntlm/mod.ts";
import { type TestModuleOptions, testProvider } from "../../../testing/mod.ts";
import { ROOT } from "../../support/root.ts";

const setup: TestModuleOptions = JSON.parse(
  readFileSync(new URL("plugins/ntlm/check.json", ROOT), "utf8"),
);

for (const spnego of [false, true]) {
  test(`the guest conforms to the ABI, ${spnego ? "inside SPNEGO" : "as it is"}`, async () => {
    const options = { client: { spnego }, server: { spnego } };
    const { outcomes, conforms } = await testProvider(guestModule(), { ...setup, options });
    assert(outcomes.length > 5);
    const others = outcomes.filter(({ result }) => result !== "ok").map(({ name }) => name);
    assertEquals([others, conforms], [[], true]);
  });
}

test("the account that plugin:check is given has the hash of the password it is given", () => {
  const hash = Array.from(ntHash(setup.credentials!.password), (byte) => byte.toString(16).padStart(2, "0"));
  assertEquals(setup.answers!.account.ntHash, hash.join(""));
});
