import { assertEquals, assertRejects } from "@std/assert";
import { test } from "@test";
import { PermissionError } from "../../../errors.ts";
import { readModule } from "../../../plugins/sandbox/read_module.ts";

/** Runs `body` while fetch() refuses as Deno does without the permission. */
async function withoutPermission(body: () => Promise<void>): Promise<void> {
  const { fetch } = globalThis;
  globalThis.fetch = () => Promise.reject(Object.assign(new Error("no"), { name: "NotCapable" }));
  try {
    await body();
  } finally {
    globalThis.fetch = fetch;
  }
}

const FLAGS: { readonly [url: string]: string } = {
  "file:///opt/my%20plugins/x.wasm": "--allow-read=/opt/my plugins/x.wasm",
  "file:///C:/my%20plugins/x.wasm": "--allow-read=C:\\my plugins\\x.wasm",
  "file://server/share/x.wasm": "--allow-read=\\\\server\\share\\x.wasm",
  "https://example.test:8443/x.wasm": "--allow-net=example.test:8443",
};

for (const [url, flag] of Object.entries(FLAGS)) {
  test(`readModule(): if ${url} may not be read, the error has the flag as that system writes it`, () =>
    withoutPermission(async () => {
      const error = await assertRejects(() => readModule(new URL(url), 100), PermissionError, "add --allow");
      assertEquals(error.flag, flag);
    }));
}
