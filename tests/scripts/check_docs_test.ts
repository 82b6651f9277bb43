import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { fileURLToPath } from "node:url";
import {
  adviceIn,
  callsIn,
  checkAdvice,
  linksIn,
  pathsIn,
  sectionLinksIn,
} from "../../scripts/check_advice.ts";
import { checkDocs, examplesOf, isRun } from "../../scripts/check_docs.ts";
import { checkFolders, checkPages } from "../../scripts/check_pages.ts";
import { run } from "../../scripts/process.ts";
import { removeTree } from "../rig/windows/cache.ts";

const SCRIPT = fileURLToPath(new URL("../../scripts/check_docs.ts", import.meta.url));
const CONFIG = fileURLToPath(new URL("../../deno.json", import.meta.url));

function fenced(code: string, language = "ts"): string {
  return `\`\`\`${language}\n${code}\n\`\`\`\n`;
}

function docstring(code: string): string {
  return ["/**", " * Adds.", " *", ...fenced(code).trim().split("\n").map((line) => ` * ${line}`), " */"]
    .join("\n");
}

/** A small library whose documentation is right. */
const GOOD: Record<string, string> = {
  "deno.json": JSON.stringify({
    name: "@a/b",
    exports: { ".": "./mod.ts", "./more": "./more.ts" },
    compilerOptions: { noUnusedLocals: true },
  }),
  "mod.ts": `${
    docstring('import { add } from "@a/b";\nconst sum = add(1, 2);\nconsole.log(sum); // => 3')
  }\nexport function add(a: number, b: number): number {\n  return a + b;\n}\nconst secret = 1;\nvoid secret;`,
  "more.ts":
    "/** Connects. */\nexport function connect(): void {\n  throw new Error(`Cannot: call connect() first`);\n}",
  "README.md": `[more](more.ts#a) and \`add(1, 2)\` in \`ffi/a.ts\`\n\n${
    fenced('import { connect } from "@a/b/more";\nconst result = connect();')
  }${fenced("not checked at all", "sh")}`,
  "ffi/a.ts": "export {};",
  "tests/a_test.ts": `${docstring("wrong wrong")}\nconst a = "call nowhere() now";`,
};

async function withLibrary<T>(
  changes: Record<string, string>,
  use: (root: string) => Promise<T>,
): Promise<T> {
  const root = await Deno.makeTempDir();
  try {
    for (const [path, text] of Object.entries({ ...GOOD, ...changes })) {
      await Deno.mkdir(`${root}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
      await Deno.writeTextFile(`${root}/${path}`, text);
    }
    return await use(`${root}/`);
  } finally {
    await removeTree(root);
  }
}

/** What is found in the good library with `changes` made to it, one line each. */
function problems(changes: Record<string, string>): Promise<string> {
  return withLibrary(changes, async (root) => {
    const found = [...(await checkDocs(root)).found, ...await checkAdvice(root)];
    return found.map(({ file, line, message }) => `${file}:${line}: ${message}`).join("\n");
  });
}

test("a library whose documentation is right has no errors", async () => {
  assertEquals(await problems({}), "");
});

test("examplesOf finds the ts blocks of pages and docstrings with the lines they are at", () => {
  const page = `a\n${fenced("1;\n2;")}${fenced("x", "sh")}${fenced("y", "")}  ${
    fenced("    3;", "typescript").replace("\n```\n", "\n  ```\n")
  }`;
  assertEquals(examplesOf("a.md", page), [
    { file: "a.md", line: 3, code: "1;\n2;" },
    { file: "a.md", line: 13, code: "  3;" },
  ]);
  assertEquals(examplesOf("a.ts", `x;\n${docstring("1;\n\n2;")}\ny;`), [
    { file: "a.ts", line: 6, code: "1;\n\n2;" },
  ]);
  assertEquals(examplesOf("a.ts", `const page = \`\n${fenced("1;")}\`;`.replaceAll("`ts", "\\`ts")), []);
});

test("isRun is false for an example that imports a function which needs a peer or a file", () => {
  const example = (code: string) => ({ file: "a.md", line: 1, code });
  assert(isRun(example('import { Spn } from "x";')));
  assert(isRun(example('import { connectLater } from "x";')));
  assert(!isRun(example('import { connect } from "x";')));
  assert(!isRun(example('import {\n  Spn,\n  listen,\n} from "x";')));
});

const BAD: [name: string, changes: Record<string, string>, expected: string][] = [
  [
    "an example that imports a name its entry point does not export is an error",
    { "README.md": fenced('\nimport { connect } from "@a/b";\nconnect();') },
    "README.md:3: TS2305",
  ],
  [
    "an example that leaves an import of its own file out is an error",
    { "mod.ts": GOOD["mod.ts"].replace(' * import { add } from "@a/b";\n', "") },
    "mod.ts:5: TS2304",
  ],
  [
    "an example with a wrong type is an error",
    { "mod.ts": GOOD["mod.ts"].replace("add(1, 2)", 'add("1", 2)') },
    "mod.ts:6: TS2345",
  ],
  [
    "an example that imports from no entry point is an error",
    { "README.md": fenced('import { add } from "@a/b/none";') },
    "README.md:2: ",
  ],
  [
    "an example that fails when it is run is an error",
    { "README.md": fenced('throw new Error("broken");') },
    "README.md:2: The example fails: error: Uncaught (in promise) Error: broken",
  ],
  [
    "an example that asks for a permission is an error",
    { "README.md": fenced('Deno.env.get("HOME");') },
    "README.md:2: The example fails: error: Uncaught (in promise) NotCapable",
  ],
  [
    "an example that prints something else than its comment says is an error",
    { "mod.ts": GOOD["mod.ts"].replace("=> 3", "=> 4") },
    "mod.ts:5: The example prints 3",
  ],
  [
    "a message that advises a function no entry point exports is an error",
    { "ffi/a.ts": "\nthrow new Error(`Cannot: ${1} wrong; load it with loadOther`);" },
    "ffi/a.ts:2: a message names loadOther",
  ],
  [
    "a page that shows a call of a function no entry point exports is an error",
    { "README.md": "\nCall `subtract(1)`." },
    "README.md:2: the page shows subtract",
  ],
  [
    "a link that leads to no section of another page is an error",
    { "README.md": "[a](docs/a.md#two)", "docs/a.md": "# One" },
    "README.md:1: the link leads to #two, which docs/a.md does not have",
  ],
  ["a link that leads to no file is an error", { "README.md": "[a](docs/none.md)" }, "leads to docs/none.md"],
  [
    "a page that names a file which does not exist is an error",
    { "README.md": "`ffi/b.ts`" },
    "ffi/b.ts is named",
  ],
  [
    "a comment that names a file which does not exist is an error",
    { "tests/a_test.ts": "// See `ffi/b.ts`." },
    "tests/a_test.ts:1: ffi/b.ts is named",
  ],
];

for (const [name, changes, expected] of BAD) {
  test(name, async () => assertStringIncludes(await problems(changes), expected));
}

test("adviceIn reads calls, names in camel case and flags of sentences, and neither words nor keys of JSON", () => {
  const names = (text: string) =>
    adviceIn("a.ts", text, new Set(["known"])).map(({ line, message }) =>
      `${line} ${message.split(/[ ,]/)[3]}`
    );
  assertEquals(names('f("call Open() or openIt with --flag, known() or known");'), [
    "1 Open",
    "1 openIt",
    "1 --flag",
  ]);
  assertEquals(names("f(`a ${b} openIt ${c} closeIt`);"), ["1 openIt", "1 closeIt"]);
  assertEquals(names("f('openIt', `{ \"maxLength\": 1 }`, 'plain words (in brackets)', b--c);"), []);
});

test("callsIn reads the inline code of a page only", () => {
  const names = new Set(["known"]);
  assertEquals(callsIn("a.md", "other() `known()` `not.called`\n\n```ts\nother();\n```", names), []);
  assertEquals(callsIn("a.md", "\n`conn.other(1)` and `--flag`", names).map(({ line }) => line), [2, 2]);
});

test("linksIn takes addresses, anchors, folders and files beside the page", () => {
  const files = ["docs/a.md", "docs/adr/0001-x.md", "README.md"];
  const page = "[a](adr) [b](adr/) [c](../README.md#x) [d](#e) [f](https://x.test/y) [g](a.md)";
  assertEquals(linksIn("docs/a.md", page, files), []);
  assertEquals(linksIn("README.md", "[a](#b) [c](docs/a.md#b)", files), []);
  assertEquals(linksIn("docs/a.md", "[a](README.md)", files).length, 1);
});

test("sectionLinksIn finds sections as GitHub names them", () => {
  const page =
    "# What's *new*: `a()` & [b](c.md)?\n\n## Same\n\n## Same\n\n```sh\n# no heading\n```\n\n### Überschrift_1 ##\n";
  const pages = new Map([["docs/a.md", page]]);
  const links = (...names: string[]) => names.map((name) => `[x](a.md#${name})`).join(" ");
  const good = links("whats-new-a--b", "same", "same-1", "überschrift_1");
  assertEquals(sectionLinksIn("docs/b.md", `${good} [y](https://x.test/a.md#z) [z](c.ts#L5)`, pages), []);
  assertEquals(sectionLinksIn("docs/b.md", links("new", "same-2", "no-heading", "Same"), pages).length, 4);
  assertEquals(
    sectionLinksIn("docs/b.md", "# Here\n[a](#here) [b](#there)", pages).map(({ message }) => message),
    [
      "the link leads to #there, which docs/b.md does not have",
    ],
  );
});

test("pathsIn takes paths from the root, and paths below a folder that the page speaks about", () => {
  const files = ["ffi/raw/a.ts", "plugins/x/guest/index.ts"];
  assertEquals(pathsIn("a.md", "`ffi/raw/a.ts` `guest/index.ts` `a.ts` `ffi/raw` `x/**/*.ts`", files), []);
  assertEquals(pathsIn("a.md", "`ffi/a.ts` `guest/other.ts` `plugins/guest/index.ts`", files).length, 3);
  const source = ["/** `ffi/b.ts` */", "  * `ffi/b.ts`", "// `ffi/b.ts`", 'const a = "`ffi/b.ts`";'].join(
    "\n",
  );
  assertEquals(pathsIn("a.ts", source, files).map(({ line }) => line), [1, 2, 3]);
});

test("the program prints file:line for each error and ends with 1", async () => {
  await withLibrary({ "README.md": "[a](none.md)" }, async (root) => {
    const args = ["run", "-A", "--no-lock", "--config", CONFIG, SCRIPT, "--root", root];
    const bad = await run(Deno.execPath(), args, { env: { NO_COLOR: "1" } });
    assertEquals(bad.code, 1);
    assertStringIncludes(bad.stderr, "README.md:1: the link leads to none.md, which does not exist");
    assertStringIncludes(bad.stdout, "Documentation: 1 examples, 1 of them run; 1 errors");
    await Deno.writeTextFile(`${root}README.md`, "");
    const good = await run(Deno.execPath(), args, { env: { NO_COLOR: "1" } });
    assertEquals(good.code, 0, good.stderr);
  });
});

test("checkFolders compares the table with the folders, two levels deep", () => {
  const files = ["mod.ts", "ffi/a.ts", "ffi/raw/b.ts", "ffi/raw/deep/c.ts", "docs/d.md"];
  const table = [
    "| folder | holds |",
    "| --- | --- |",
    "| `docs/` | pages |",
    "| `ffi/` | a |",
    "| `ffi/raw/` | b |",
  ];
  const messages = (lines: string[]) => checkFolders(lines.join("\n"), files).map(({ message }) => message);
  assertEquals(messages(table), []);
  assertEquals(messages(table.slice(0, -1)), ["the table of folders lacks ffi/raw/"]);
  assertEquals(messages([...table, "| `http/` | none |"]), ["there is no folder http/"]);
  assertEquals(messages([...table, "| `ffi/` | again |"]), ["ffi/ is listed twice"]);
  assertEquals(messages([...table, "| `ffi/raw/deep/` | third level |"]), [
    "there is no folder ffi/raw/deep/",
  ]);
});

test("checkPages compares CONTRIBUTING, the indexes and the links back from ADRs with the files", async () => {
  const pages = {
    "CONTRIBUTING.md": ["docs/", "docs/adr/", "docs/design/"].map((folder) => `| \`${folder}\` | x |`).join(
      "\n",
    ),
    "docs/adr/README.md": "[1](0001-a.md) [2](0002-b.md)",
    "docs/adr/0001-a.md": "# 1. A\n\n> [Topic](../design/topic.md)\n",
    "docs/adr/0002-b.md": "# 2. B\n",
    "docs/design/README.md": "[Topic](topic.md)",
    "docs/design/topic.md": "Replaces [1](../adr/0001-a.md).",
  };
  const check = async (changes: Record<string, string>): Promise<string[]> => {
    const root = await Deno.makeTempDir();
    try {
      for (const [path, text] of Object.entries({ ...pages, ...changes })) {
        await Deno.mkdir(`${root}/${path}`.replace(/\/[^/]*$/, ""), { recursive: true });
        await Deno.writeTextFile(`${root}/${path}`, text);
      }
      return (await checkPages(`${root}/`)).map(({ file, message }) => `${file}: ${message}`);
    } finally {
      await removeTree(root);
    }
  };
  assertEquals(await check({}), []);
  assertEquals(await check({ "ffi/a.ts": "" }), ["CONTRIBUTING.md: the table of folders lacks ffi/"]);
  assertEquals(await check({ "docs/adr/0003-c.md": "" }), [
    "docs/adr/README.md: it lacks a link to 0003-c.md",
  ]);
  assertEquals(await check({ "docs/design/more.md": "" }), [
    "docs/design/README.md: it lacks a link to more.md",
  ]);
  assertEquals(await check({ "docs/design/topic.md": "[2](../adr/0002-b.md)" }), [
    "docs/adr/0002-b.md: it does not begin with a link to docs/design/topic.md, which replaces its rule",
  ]);
});
