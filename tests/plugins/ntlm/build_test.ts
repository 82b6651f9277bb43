import { assertEquals } from "@std/assert";
import { test } from "@test";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { GUEST_SHA256, guestModule } from "../../../plugins/ntlm/guest_wasm.ts";
import { buildPlugin } from "../../../scripts/plugin_build.ts";
import { ROOT } from "../../support/root.ts";

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

test("the embedded module has the pinned hash", () => {
  assertEquals(sha256(guestModule()), GUEST_SHA256);
});

test("the sources compile to the module that ships, byte by byte", async () => {
  const built = await buildPlugin(ROOT, "plugins/ntlm");
  assertEquals(built.sha256, GUEST_SHA256, "the sources changed: deno task plugin:build plugins/ntlm");
  assertEquals(sha256(readFileSync(new URL("plugins/ntlm/guest.wasm", ROOT))), GUEST_SHA256);
});
