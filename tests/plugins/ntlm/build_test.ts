import { assertEquals } from "@std/assert";
import { test } from "@test";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { GUEST_SHA256, guestWasm } from "../../../plugins/ntlm/guest_wasm.ts";
import { compileGuest } from "../../support/guest_build.ts";

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

test("the embedded module has the hash it is pinned to", () => {
  assertEquals(sha256(guestWasm()), GUEST_SHA256);
});

test("the sources give the module that ships, byte by byte", async () => {
  const hash = sha256(await compileGuest("plugins/ntlm/guest/index.ts"));
  assertEquals(hash, GUEST_SHA256, "the sources changed: run deno task plugin:build ntlm");
  assertEquals(
    sha256(readFileSync(new URL("../../../plugins/ntlm/ntlm.wasm", import.meta.url))),
    GUEST_SHA256,
  );
});
