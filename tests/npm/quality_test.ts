/** What package checkers and other runtimes say of the package: publint, arethetypeswrong, its size, Bun. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { build, stop } from "esbuild";
import process from "node:process";
import { run } from "../../scripts/process.ts";
import { startRealm } from "../rig/realm.ts";
import { noRealm } from "../support/kerberos.ts";
import { makeConsumer, PACKAGE, skip, tarball } from "./consumer.ts";

test("publint finds nothing in the package", async () => {
  await using consumer = await makeConsumer(["publint@0.3.25"]);
  await consumer.write(
    "check.mjs",
    `import { publint } from "publint";
    const { messages } = await publint({ pkgDir: process.argv[2], pack: false, strict: true });
    console.log(JSON.stringify(messages));`,
  );
  const { stdout, stderr } = await run("node", ["check.mjs", consumer.installed], { cwd: consumer.folder });
  assertEquals([stdout.trim(), stderr], ["[]", ""]);
}, { skip });

test("arethetypeswrong finds every entry point's types, as ECMAScript modules and for bundlers", async () => {
  await using consumer = await makeConsumer(["@arethetypeswrong/cli@0.18.5"]);
  const args = ["node_modules/.bin/attw", tarball(), "--profile", "esm-only", "--format", "json"];
  const { code, stdout } = await run("node", args, { cwd: consumer.folder, timeoutMs: 120_000 });
  const { analysis } = JSON.parse(stdout);
  assertEquals(code, 0);
  assertEquals(Object.keys(analysis.entrypoints).includes("./http"), true);
}, { skip });

/** Bytes of a bundle of the core, minified, and of its modules as they are, both without the guests' WebAssembly. */
async function coreSize(installed: string): Promise<{ size: number; unpacked: number; inputs: string[] }> {
  try {
    const { outputFiles, metafile } = await build({
      entryPoints: [`${installed}/mod.js`],
      bundle: true,
      minify: true,
      write: false,
      metafile: true,
      format: "esm",
      platform: "node",
      external: ["koffi"],
    });
    const [{ inputs }] = Object.values(metafile.outputs);
    const guests = Object.entries(inputs).filter(([path]) => path.endsWith("guest_wasm.js"));
    const embedded = guests.reduce((sum, [, { bytesInOutput }]) => sum + bytesInOutput, 0);
    const modules = Object.entries(metafile.inputs).filter(([path]) => !path.endsWith("guest_wasm.js"));
    const unpacked = modules.reduce((sum, [, { bytes }]) => sum + bytes, 0);
    return { size: outputFiles[0].contents.length - embedded, unpacked, inputs: Object.keys(inputs) };
  } finally {
    await stop();
  }
}

test(
  "the core is at most 400 kB minified, 850 kB as modules, without the guests, and loads no other entry point",
  async () => {
    await using consumer = await makeConsumer();
    const { size, unpacked, inputs } = await coreSize(consumer.installed);
    assert(size <= 400_000, `${size} bytes`);
    assert(unpacked <= 850_000, `${unpacked} bytes`);
    const others = inputs.filter((path) => /\/(http|directory|postgres|sasl|testing|cli)\//.test(path));
    assertEquals(others, []);
  },
  { skip },
);

const BUN = `
import { connect, createRegistry, listen, ntHash, ntlm } from "${PACKAGE}";

const password = "correct horse";
const sandboxed = {
  registry: createRegistry([ntlm({ accounts: () => ntHash(password) })]),
  requirements: { mutualAuthentication: false },
};
const credentials = { domain: "EXAMPLE", username: "alice", password };

async function echo(server, client) {
  const listener = await listen({ hostname: "127.0.0.1", port: 0, ...server });
  const accepted = listener.accept();
  const conn = await connect({ hostname: "127.0.0.1", port: listener.addr.port, target: "HTTP/localhost", ...client });
  const peer = await accepted;
  await conn.write(new Uint8Array(100_000).fill(7));
  await conn.closeWrite();
  let bytes = 0;
  for await (const chunk of peer.readable) bytes += chunk.length;
  console.log(conn.security.provider, conn.security.mutualAuthentication, peer.peer.user, bytes);
  await conn.close();
  await peer.close();
  await listener.close();
}

console.log(typeof Bun.version);
await echo(sandboxed, { ...sandboxed, credentials });
if (process.env.KRB5_CONFIG) await echo({ acceptedTargets: ["HTTP/localhost"] }, {});
process.exit(0);
`;

test("Bun connects and listens: NTLM in the sandbox, Kerberos through koffi", async () => {
  await using consumer = await makeConsumer(["bun@1.4.5"]);
  await consumer.write("program.mjs", BUN);
  const bun = `${consumer.folder}/node_modules/@oven/bun-linux-x64/bin/bun`;
  await using realm = await startRealm();
  await realm.kinit("alice");
  const { stdout, stderr } = await run(bun, ["program.mjs"], {
    cwd: consumer.folder,
    env: { ...process.env, ...realm.env } as Record<string, string>,
    timeoutMs: 60_000,
  });
  assertEquals(stderr, "");
  assertStringIncludes(stdout, "string\nntlm false alice 100000\nnegotiate true alice 100000\n");
}, {
  skip: skip ?? noRealm ??
    (Deno.build.os === "linux" && Deno.build.arch === "x86_64" ? null : "Bun is fetched for Linux on x64"),
});
