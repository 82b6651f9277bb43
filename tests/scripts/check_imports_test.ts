import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { checkImports, refusal } from "../../scripts/check_imports.ts";
import { mustRun, run } from "../../scripts/process.ts";
import { removeTree } from "../rig/windows/cache.ts";
import { fileURLToPath } from "node:url";

const SCRIPT = fileURLToPath(new URL("../../scripts/check_imports.ts", import.meta.url));
const CONFIG = fileURLToPath(new URL("../../deno.json", import.meta.url));

/** A small library that keeps every rule. */
const GOOD: Record<string, string> = {
  "deno.json": JSON.stringify({ exports: { ".": "./mod.ts" } }),
  "errors.ts": "export class SecureSocketError extends Error {}",
  "ffi/abi.ts": "/** Not an UnsafePointer, says this comment. */\nexport type Address = bigint;",
  "ffi/raw/secur32.ts": 'import type { Address } from "../abi.ts";\nexport const at: Address = 0n;',
  "ffi/system.ts": 'export { at } from "./raw/secur32.ts";',
  "ffi/backends/koffi.ts": [
    "const { process } = globalThis as any;",
    'export const load = () => process.getBuiltinModule("node:module").createRequire("/")("koffi");',
  ].join("\n"),
  "contract.ts": 'export { SecureSocketError as E } from "./errors.ts";',
  "plugins/ntlm/mod.ts": 'export { E } from "../../contract.ts";\nexport * from "./codec.ts";',
  "plugins/ntlm/codec.ts": "export const codec = 1;",
  "plugins/kerberos/mod.ts": 'export { at } from "../../ffi/system.ts";',
  "plugins/ntlm/guest/index.ts": "export function f(): i32 { return unchecked(1); }",
  "sockets/connect.ts": 'export { E } from "../contract.ts";',
  "directory/mod.ts": 'export { at } from "../ffi/system.ts";',
  "ffi/transport/node.ts":
    'import type { Socket } from "node:net";\nexport type S = Socket | import("node:net").Server;',
  "mod.ts":
    'export * from "./sockets/connect.ts";\nexport const later = () => import("./plugins/ntlm/mod.ts");',
  "tests/a_test.ts": 'import "../mod.ts";\nDeno.UnsafePointer;',
};

/** The rules broken by the good library with `changes` made to it, one line each. */
async function broken(changes: Record<string, string>): Promise<string> {
  const root = await Deno.makeTempDir();
  try {
    for (const [path, text] of Object.entries({ ...GOOD, ...changes })) {
      await Deno.mkdir(`${root}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.writeTextFile(`${root}/${path}`, text);
    }
    const found = await checkImports(`${root}/`);
    return found.map(({ file, line, message }) => `${file}:${line}: ${message}`).join("\n");
  } finally {
    await removeTree(root);
  }
}

test("a library that follows the rules has no violations", async () => {
  assertEquals(await broken({}), "");
});

const BAD: [name: string, file: string, text: string, expected: string][] = [
  [
    "the base imports nothing above it",
    "ffi/abi.ts",
    '\nimport "./system.ts";',
    "ffi/abi.ts:2: imports ffi/system.ts: memory may import only errors, memory, not core",
  ],
  [
    "a type import counts as an import",
    "ffi/abi.ts",
    'import type { at } from "./system.ts";\nexport type A = typeof at;',
    "ffi/abi.ts:1: imports ffi/system.ts",
  ],
  [
    "a dynamic import of the library's own file counts as an import",
    "ffi/system.ts",
    'export const later = () => import("../sockets/connect.ts");',
    "ffi/system.ts:1: imports sockets/connect.ts: core may import only",
  ],
  [
    "the native side knows no plugins",
    "ffi/windows/token.ts",
    'import "../../plugins/registry.ts";',
    "ffi/windows/token.ts:1: imports plugins/registry.ts: native may import only",
  ],
  [
    "the contract knows nothing native",
    "plugins/registry.ts",
    'import "../ffi/abi.ts";',
    "plugins/registry.ts:1: imports ffi/abi.ts: registry may import only errors, contract, credentials, registry, not memory",
  ],
  [
    "the sandbox knows nothing native",
    "plugins/sandbox/guard.ts",
    'import "../../ffi/system.ts";',
    "plugins/sandbox/guard.ts:1: imports ffi/system.ts",
  ],
  [
    "one provider does not know another",
    "plugins/ntlm/codec.ts",
    'import "../kerberos/mod.ts";',
    "plugins/ntlm/codec.ts:1: imports plugins/kerberos/mod.ts: the folders of providers do not know each other",
  ],
  [
    "connections stay out of the directory's graph",
    "sockets/connect.ts",
    'import "../directory/mod.ts";',
    "sockets/connect.ts:1: imports directory/mod.ts: connections may import only",
  ],
  [
    "the library imports no test or script",
    "mod.ts",
    'import "./tests/a_test.ts";',
    "mod.ts:1: imports tests/a_test.ts, which is not part of the library",
  ],
  ["a file that no layer names is refused", "stray.ts", "", "stray.ts:1: in no layer"],
  [
    "a missing module is told",
    "mod.ts",
    'import "./nowhere.ts";',
    "nowhere.ts",
  ],
  [
    "an Unsafe name is refused as an identifier",
    "ffi/system.ts",
    "\nexport const p = (Deno as any).UnsafePointer;",
    "ffi/system.ts:2: UnsafePointer is forbidden",
  ],
  [
    "an Unsafe name is refused as a string",
    "ffi/system.ts",
    'export const p = (Deno as any)["UnsafeCallback"];',
    "UnsafeCallback is forbidden",
  ],
  [
    "an Unsafe name is refused in a template",
    "ffi/system.ts",
    "export const p = (n: string) => `UnsafeFnPointer${n}`;",
    "UnsafeFnPointer is forbidden",
  ],
  [
    "an Unsafe name is refused where it is taken apart",
    "ffi/system.ts",
    "export const { UnsafePointerView: view } = Deno as any;",
    "UnsafePointerView is forbidden",
  ],
  [
    "a lint comment excuses nothing",
    "ffi/system.ts",
    "// deno-lint-ignore-file\n// deno-lint-ignore no-explicit-any\nexport const p = (Deno as any).UnsafePointer;",
    "ffi/system.ts:3: UnsafePointer is forbidden",
  ],
  [
    "a member of Deno may not be computed",
    "ffi/system.ts",
    'export const p = (globalThis as any).Deno["Un" + "safePointer"];',
    "a computed member of Deno cannot be checked",
  ],
  [
    "a static import of Node is refused",
    "ffi/system.ts",
    'import "node:fs";',
    "node:fs comes from elsewhere",
  ],
  [
    "where types may be imported, code may not",
    "ffi/transport/node.ts",
    'import { Socket } from "node:net";\nexport const s = Socket;',
    "ffi/transport/node.ts:1: node:net comes from elsewhere",
  ],
  [
    "a re-export from a package is refused",
    "mod.ts",
    'export * from "npm:koffi@3";',
    "npm:koffi@3 comes from elsewhere",
  ],
  [
    "a type taken from elsewhere is refused",
    "ffi/abi.ts",
    'export type Buffer = import("node:buffer").Buffer;',
    "node:buffer comes from elsewhere",
  ],
  [
    "a dynamic import of a package is refused",
    "ffi/backends/koffi.ts",
    'export const load = () => import("npm:koffi@3");',
    'import("npm:koffi@3") would be looked for',
  ],
  [
    "a dynamic import of Node is refused",
    "ffi/system.ts",
    'export const load = () => import("node:fs");',
    'import("node:fs") would be looked for',
  ],
  [
    "a computed import is refused",
    "ffi/system.ts",
    "export const load = (name: string) => import(name);",
    "a computed import cannot be checked",
  ],
  [
    "a door to Node elsewhere than in the files named is refused",
    "ffi/system.ts",
    'export const load = () => (globalThis as any).process.getBuiltinModule("node:fs");',
    "getBuiltinModule is a door to Node",
  ],
  [
    "importing may not ask for a permission",
    "sockets/connect.ts",
    'try { Deno.env.get("HOME"); } catch { /* hidden */ }',
    "mod.ts:1: asks for the permission env (HOME) when imported",
  ],
  [
    "importing works without any permission",
    "sockets/connect.ts",
    'Deno.env.get("HOME");',
    "mod.ts:1: cannot be imported without permissions: error: Uncaught (in promise) NotCapable",
  ],
  [
    "importing may not open a library",
    "sockets/connect.ts",
    'try { (globalThis as any).Deno.dlopen("libc.so.6", {}); } catch { /* hidden */ }',
    "mod.ts:1: asks for the permission ffi (libc.so.6) when imported",
  ],
  [
    "importing may not fail",
    "mod.ts",
    'throw new Error("no");',
    "mod.ts:1: cannot be imported without permissions",
  ],
  [
    "importing may not print",
    "mod.ts",
    'console.log("hello");',
    "mod.ts:1: says something when imported: hello",
  ],
  [
    "an entry point must be there",
    "deno.json",
    JSON.stringify({ exports: { ".": "./mod.ts", "./testing": "./testing/mod.ts" } }),
    "testing/mod.ts:1: is an entry point in deno.json, but there is no such file",
  ],
];

for (const [name, file, text, expected] of BAD) {
  test(name, async () => {
    const said = await broken({ [file]: text });
    assert(said !== "");
    assertStringIncludes(said, expected);
  });
}

test("the layers of the design are those of the table", () => {
  assertEquals(refusal("plugins/ntlm/mod.ts", "ffi/system.ts"), null);
  assertEquals(refusal("sockets/connect.ts", "plugins/registry.ts"), null);
  assertEquals(refusal("mod.ts", "sockets/connect.ts"), null);
  assertStringIncludes(refusal("ffi/raw/secur32.ts", "ffi/system.ts")!, "raw may import only");
  assertStringIncludes(refusal("errors.ts", "spn.ts")!, "errors may import only nothing");
  assertStringIncludes(refusal("plugins/ntlm/mod.ts", "sockets/connect.ts")!, "providers may import only");
});

test("the program ends with 1 and names each place where a rule is broken", async () => {
  const root = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${root}/deno.json`, '{ "exports": { ".": "./mod.ts" } }');
    await Deno.writeTextFile(`${root}/mod.ts`, 'import "./scripts/x.ts";');
    const args = ["run", "-A", "--no-lock", "--config", CONFIG, SCRIPT];
    const bad = await run(Deno.execPath(), [...args, "--root", root], { env: { NO_COLOR: "1" } });
    assertEquals(bad.code, 1);
    assertStringIncludes(bad.stderr, "scripts/x.ts");
    await Deno.writeTextFile(`${root}/mod.ts`, "export {};");
    assertStringIncludes((await mustRun(Deno.execPath(), [...args, "--root", root])).stdout, "none broken");
  } finally {
    await removeTree(root);
  }
});
