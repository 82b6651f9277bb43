import { assertEquals, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { fileURLToPath } from "node:url";
import { ENTRIES, OLDEST_TYPESCRIPT } from "../../scripts/npm_package.ts";
import { run } from "../../scripts/process.ts";
import { type Consumer, makeConsumer, PACKAGE, skip, tar } from "./consumer.ts";

/** The oldest TypeScript the declarations are written for, and the newest of the lines that came after. */
const COMPILERS = [OLDEST_TYPESCRIPT, "5.9", "6"];

/** What a user writes, with every entry point. */
const PROGRAM = `
import { connect, listen, openSystem, type SecureConn, type SecurityInfo, Spn } from "${PACKAGE}";
import type { Provider } from "${PACKAGE}/plugins";
import { liveHandles } from "${PACKAGE}/testing";
import * as ffi from "${PACKAGE}/unstable-ffi";

export async function call(signal: AbortSignal): Promise<string> {
  await using conn: SecureConn = await connect({ hostname: "server.example.test", port: 7777, signal });
  const info: SecurityInfo = conn.security;
  await conn.write(new Uint8Array([1, 2, 3]));
  const got: number | null = await conn.read(new Uint8Array(16));
  const { value: chunk } = await conn.readable.getReader().read();
  got satisfies number | null, chunk?.buffer satisfies ArrayBuffer | undefined;
  return info.peer;
}

export async function serve(): Promise<void> {
  await using listener = await listen({ port: 0, acceptedTargets: [Spn.parse("host/server").toString()] });
  for await (const conn of listener) await conn.close();
}

export function look(provider: Provider): string {
  using system = openSystem({ grants: ["sspi"] });
  const counts: { [kind: string]: number } = liveHandles();
  return \`\${provider.name} \${system.capabilities().os} \${Object.keys(counts)} \${Object.keys(ffi)}\`;
}

// @ts-expect-error A wrong option is seen: the types are not \`any\`.
export const wrong = connect({ hostname: 5 });
// @ts-expect-error So is a wrong result.
export const mistaken: string = connect({ hostname: "server", port: 1 });
`;

/** With the types of a browser alone, and with Node's alone: a user has either. */
const LIBRARIES: [name: string, options: Record<string, unknown>][] = [
  ["lib DOM", { lib: ["ES2022", "ESNext.Disposable", "DOM", "DOM.AsyncIterable"], types: [] }],
  ["the types of Node", { lib: ["ES2022", "ESNext.Disposable"], types: ["node"] }],
];

async function compile(consumer: Consumer, tsc: string, options: Record<string, unknown>): Promise<string> {
  const compilerOptions = {
    strict: true,
    skipLibCheck: false,
    noEmit: true,
    target: "ES2022",
    module: "NodeNext",
    moduleResolution: "NodeNext",
    ...options,
  };
  await consumer.write("tsconfig.json", JSON.stringify({ compilerOptions, files: ["program.ts"] }));
  const { stdout, stderr } = await run("node", [`node_modules/${tsc}/bin/tsc`, "--pretty", "false"], {
    cwd: consumer.folder,
    timeoutMs: 300_000,
  });
  return stdout + stderr;
}

for (const version of COMPILERS) {
  for (const [name, options] of LIBRARIES) {
    test(`TypeScript ${version} accepts a program under --strict with ${name}`, async () => {
      await using consumer = await makeConsumer([`tsc@npm:typescript@${version}`, "@types/node@22"]);
      await consumer.write("program.ts", PROGRAM);
      assertEquals(await compile(consumer, "tsc", options), "");
      const bundler = { module: "ESNext", moduleResolution: "Bundler" };
      assertEquals(await compile(consumer, "tsc", { ...options, ...bundler }), "");
    }, { skip });
  }
}

test("postgresStream() has the type that node-postgres' declarations ask for", async () => {
  await using consumer = await makeConsumer([
    `tsc@npm:typescript@${COMPILERS[0]}`,
    "@types/node@22",
    "@types/pg@8",
  ]);
  await consumer.write(
    "program.ts",
    `
import { Client, Pool } from "pg";
import { postgresStream, securityOf } from "${PACKAGE}/postgres";

export const pool = new Pool({ stream: postgresStream({ encryption: "require" }) });
export const encrypted: boolean = securityOf(new Client({ stream: postgresStream() })).confidentiality;
// @ts-expect-error A wrong option is seen.
postgresStream({ encryption: "allow" });
`,
  );
  assertEquals(await compile(consumer, "tsc", { ...LIBRARIES[1][1], skipLibCheck: true }), "");
}, { skip });

test("package.json and README name the oldest TypeScript and Node that are supported", async () => {
  const { typeScriptVersion, engines } = JSON.parse(await tar("-xzOf", "package/package.json"));
  assertEquals(typeScriptVersion, OLDEST_TYPESCRIPT);
  const readme = await tar("-xzOf", "package/README.md");
  assertStringIncludes(readme, `TypeScript ${OLDEST_TYPESCRIPT} or later`);
  assertStringIncludes(readme, `Node ${engines.node.slice(2)} or later`);
}, { skip });

test(
  "the declarations that TypeScript writes of the sources stand alone without lib DOM, as dnt's do",
  async () => {
    await using consumer = await makeConsumer(["tsc@npm:typescript@5.9", "@types/node@22"]);
    const root = fileURLToPath(new URL("../../", import.meta.url));
    const options = {
      target: "ES2022",
      module: "NodeNext",
      lib: ["ESNext", "DOM"],
      types: ["node"],
      typeRoots: [`${consumer.folder}/node_modules/@types`],
      declaration: true,
      emitDeclarationOnly: true,
      allowImportingTsExtensions: true,
      rewriteRelativeImportExtensions: true,
      // deno task check has checked them, with the types of the packages that they import.
      noCheck: true,
      rootDir: root,
      outDir: `${consumer.folder}/types`,
    };
    const entries = Object.values(ENTRIES).filter((entry) => entry !== "./cli.ts");
    const emit = { compilerOptions: options, files: entries.map((entry) => root + entry.slice(2)) };
    await consumer.write("emit.json", JSON.stringify(emit));
    const tsc = ["node_modules/tsc/bin/tsc", "--pretty", "false", "-p", "emit.json"];
    const emitted = await run("node", tsc, { cwd: consumer.folder, timeoutMs: 300_000 });
    assertEquals(emitted.stdout, "");
    const imports = entries.map((entry, index) =>
      `import * as m${index} from "./types/${entry.slice(2).replace(/\.ts$/, ".js")}"; export { m${index} };`
    );
    await consumer.write("program.ts", imports.join("\n"));
    assertEquals(await compile(consumer, "tsc", LIBRARIES[1][1]), "");
  },
  { skip },
);

test("the check of the types finds a missing declaration", async () => {
  await using consumer = await makeConsumer(["tsc@npm:typescript@5.9", "@types/node@22"]);
  const { exports } = JSON.parse(await Deno.readTextFile(`${consumer.installed}/package.json`));
  const path = `${consumer.installed}/${exports["."].types}`;
  await Deno.writeTextFile(
    path,
    `${await Deno.readTextFile(path)}\nexport declare const broken: Deno.Conn;\n`,
  );
  await consumer.write("program.ts", PROGRAM);
  assertStringIncludes(await compile(consumer, "tsc", LIBRARIES[0][1]), "TS2503");
}, { skip });
