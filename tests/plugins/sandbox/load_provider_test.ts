import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { test } from "@test";
import { ProviderRejectedError, ProviderTrapError } from "../../../errors.ts";
import { shownMechanism } from "../../../plugins/sandbox/claims.ts";
import { loadBuiltIn, loadProvider } from "../../../plugins/sandbox/load_provider.ts";
import type { Manifest } from "../../../plugins/sandbox/manifest.ts";
import { GUEST_SHA256, guestModule } from "../../../plugins/sdk/template/guest_wasm.ts";
import { canned, sha256 } from "../../support/hostile.ts";
import { compileWat } from "../../support/wat.ts";

const module = Uint8Array.from(guestModule());

function refuse(manifest: unknown, type: typeof TypeError | typeof RangeError, part: string): Promise<Error> {
  return assertRejects(() => loadProvider(module, manifest as Manifest), type, part);
}

async function rejected(
  wasm: Uint8Array<ArrayBuffer>,
  manifest: Partial<Manifest>,
): Promise<ProviderRejectedError> {
  return await assertRejects(
    async () => await loadProvider(wasm, { sha256: await sha256(wasm), ...manifest }),
    ProviderRejectedError,
  );
}

test("loadProvider() loads an embedded module, which reports its hash and its grants", async () => {
  const provider = await loadProvider(module, { sha256: GUEST_SHA256, name: "template", version: "0.1.0" });
  assertEquals(provider.description, {
    name: "template",
    layer: "context",
    isolation: "sandboxed",
    sha256: GUEST_SHA256,
    imports: [],
    offers: {
      integrity: false,
      confidentiality: false,
      mutualAuthentication: false,
      impersonation: "anonymous",
      delegation: false,
    },
  });
  assertEquals([provider.name, provider.layer], ["template", "context"]);
});

test("loadProvider() compares the hash first: a module that does not match is not parsed", async () => {
  const rubbish = Uint8Array.of(1, 2, 3);
  const { rule, message } = await assertRejects(
    () => loadProvider(rubbish, { sha256: GUEST_SHA256 }),
    ProviderRejectedError,
  );
  assertEquals(rule, "sha256");
  assert(message.includes(await sha256(rubbish)) && message.includes(GUEST_SHA256), message);
});

test("loadProvider() refuses a built-in name, whether the module or the manifest gives it", async () => {
  const { GUEST_SHA256: hash, guestModule: ntlm } = await import("../../../plugins/ntlm/guest_wasm.ts");
  const wasm = Uint8Array.from(ntlm()), imports = { random: true, clock: true } as const;
  for (const name of [{}, { name: "ntlm" }]) {
    const { rule, message } = await rejected(wasm, { sha256: hash, imports, ...name });
    assertEquals(rule, "name");
    assert(/its name is ntlm.*contain ntlm.*rename it/.test(message), message);
  }
  const codec = await import("../../../plugins/ipsec/guest_wasm.ts");
  const error = await assertRejects(
    () => loadProvider(codec.guestModule(), { sha256: codec.GUEST_SHA256, name: "ipsec-codec", socket: {} }),
    ProviderRejectedError,
  );
  assertEquals(error.rule, "name");
  await refuse({ sha256: GUEST_SHA256, builtIn: true }, TypeError, "builtIn is not known in a manifest");
  const manifest = { sha256: hash, imports, name: "ntlm" };
  assertEquals((await loadBuiltIn(wasm, manifest)).name, "ntlm");
});

test("a built-in module names its mechanism by its own name only", () => {
  assertEquals(shownMechanism("ntlm", "ntlm", true), "ntlm");
  for (const claimed of ["kerberos", "fast", "ntlm-x"]) {
    assertThrows(() => shownMechanism(claimed, "ntlm", true), ProviderTrapError, claimed);
  }
});

test("loadProvider() accepts a hash in capitals", async () => {
  const provider = await loadProvider(module, { sha256: GUEST_SHA256.toUpperCase() });
  assertEquals(provider.description.sha256, GUEST_SHA256);
});

test("loadProvider() ignores changes of the bytes while the hash is computed", async () => {
  const bytes = Uint8Array.from(module);
  const loading = loadProvider(bytes, { sha256: GUEST_SHA256 });
  bytes.fill(0);
  assertEquals((await loading).name, "template");
});

test("loadProvider() refuses a manifest with an invalid key or value, and says what to write instead", async () => {
  const sha = { sha256: GUEST_SHA256 };
  await refuse(null, TypeError, "manifest must be an object");
  await refuse({}, TypeError, "sha256 must be the module's hash in 64 hexadecimal digits");
  await refuse({ sha256: "abc" }, TypeError, "sha256 must be");
  await refuse({ ...sha, hash: 1 }, TypeError, "hash is not known in a manifest; use sha256, name");
  await refuse(
    { ...sha, imports: { network: true } },
    TypeError,
    "imports.network is not known; use random, clock, log",
  );
  await refuse({ ...sha, imports: { random: "yes" } }, TypeError, "imports.random must be true");
  await refuse({ ...sha, imports: { log: true } }, TypeError, "imports.log must be a function");
  await refuse({ ...sha, limits: { fuel: -1 } }, RangeError, "limits.fuel is -1");
  await refuse(
    { ...sha, options: { colour: 1 } },
    TypeError,
    "options.colour is not an option of the provider template",
  );
  await refuse({ ...sha, options: { greeting: 1 } }, TypeError, "options.greeting must be text");
  await refuse({ ...sha, answers: { account: () => null } }, TypeError, "answers.account is not a question");
  await assertRejects(() => loadProvider("wasm" as unknown as URL, sha), TypeError, "wasm must be a URL or");
});

test("loadProvider() refuses a name or version other than the manifest's", async () => {
  const named = await rejected(module, { name: "other" });
  assertEquals(named.rule, "manifest");
  assert(named.message.includes("its name is template, the manifest says other"), named.message);
  assertEquals((await rejected(module, { version: "9" })).rule, "manifest");
});

test("loadProvider() refuses an import that was not granted by name, and accepts it once it is granted", async () => {
  const logging = compileWat(
    "logging",
    `(module (import "host" "random" (func (param i32 i32))) ${
      (await canned()).replace('\\"imports\\":[]', '\\"imports\\":[\\"random\\"]').replace(
        "\\87\\01",
        "\\8f\\01",
      )
    })`,
  );
  const answers = { colour: () => null };
  const { rule, message } = await rejected(logging, { answers });
  assertEquals(rule, "import");
  assert(message.includes('"host.random", which was not granted (granted: none)'), message);
  const provider = await loadProvider(logging, {
    sha256: await sha256(logging),
    imports: { random: true },
    answers,
  });
  assertEquals(provider.description.imports, ["random"]);
});

test("loadProvider() does not report a grant that the module does not use", async () => {
  const provider = await loadProvider(module, {
    sha256: GUEST_SHA256,
    imports: { random: true, clock: true },
  });
  assertEquals(provider.description.imports, []);
});

test("loadProvider() loads a data URL, and one that leads nowhere is an argument's error", async () => {
  const base64 = btoa(Array.from(module, (byte) => String.fromCharCode(byte)).join(""));
  const url = new URL(`data:application/wasm;base64,${base64}`);
  assertEquals((await loadProvider(url, { sha256: GUEST_SHA256 })).name, "template");
  const small = { sha256: GUEST_SHA256, limits: { moduleBytes: 100 } };
  assertEquals(
    (await assertRejects(() => loadProvider(url, small), ProviderRejectedError)).rule,
    "module-size",
  );
  await assertRejects(
    () => loadProvider(new URL("file:///nowhere/guest.wasm"), { sha256: GUEST_SHA256 }),
    TypeError,
    "wasm cannot be read from file:///nowhere/guest.wasm",
  );
});

test("loadProvider() applies the manifest's limits to calls", async () => {
  const { name } = await assertRejects(() =>
    loadProvider(module, { sha256: GUEST_SHA256, limits: { fuel: 100 } })
  );
  assertEquals(name, "ProviderLimitError");
});
