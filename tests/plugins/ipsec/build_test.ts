import { assertEquals } from "@std/assert";
import { test } from "@test";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { GUEST_SHA256, guestModule } from "../../../plugins/ipsec/guest_wasm.ts";
import { LAYOUTS, layoutsSource } from "../../../scripts/ipsec_layouts.ts";
import { buildPlugin } from "../../../scripts/plugin_build.ts";
import { ROOT } from "../../support/root.ts";

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

test("the embedded codec has the pinned hash", () => {
  assertEquals(sha256(guestModule()), GUEST_SHA256);
});

test("the codec's numbers are those of the layouts", () => {
  const written = readFileSync(new URL(LAYOUTS, ROOT), "utf8");
  assertEquals(written, layoutsSource(), "run deno run -A scripts/ipsec_layouts.ts");
});

test("the sources compile to the codec that ships, byte by byte", async () => {
  const built = await buildPlugin(ROOT, "plugins/ipsec");
  assertEquals(built.sha256, GUEST_SHA256, "the sources changed: deno task plugin:build plugins/ipsec");
  assertEquals(sha256(readFileSync(new URL("plugins/ipsec/guest.wasm", ROOT))), GUEST_SHA256);
});

test("the codec imports nothing", () => {
  assertEquals(WebAssembly.Module.imports(new WebAssembly.Module(guestModule().slice())), []);
});
