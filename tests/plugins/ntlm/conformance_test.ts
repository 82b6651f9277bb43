import { assert, assertEquals } from "@std/assert";
import { test } from "@test";
import { readFileSync } from "node:fs";
import { guestModule } from "../../../plugins/ntlm/guest_wasm.ts";
import { ntHash } from "../../../plugins/ntlm/mod.ts";
import { checkModule, type Setup } from "../../../scripts/conformance/run.ts";
import { ROOT } from "../../support/root.ts";

const setup: Setup = JSON.parse(
  readFileSync(new URL("plugins/ntlm/check.json", ROOT), "utf8"),
);

for (const spnego of [false, true]) {
  test(`the guest conforms to the ABI, ${spnego ? "inside SPNEGO" : "as it is"}`, async () => {
    const options = { client: { spnego }, server: { spnego } };
    const { outcomes } = await checkModule(Uint8Array.from(guestModule()), { ...setup, options });
    assert(outcomes.length > 5);
    assertEquals(outcomes.filter(({ result }) => result !== "ok"), []);
  });
}

test("the account that plugin:check is given has the hash of the password it is given", () => {
  const hash = Array.from(ntHash(setup.credentials!.password), (byte) => byte.toString(16).padStart(2, "0"));
  assertEquals(setup.answers!.account.ntHash, hash.join(""));
});
