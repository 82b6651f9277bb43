import { assert, assertEquals } from "@std/assert";
import { test } from "@test";
import { fileURLToPath } from "node:url";
import { run } from "../../scripts/process.ts";
import { removeTree } from "../rig/windows/cache.ts";
import { checkAllWords, checkWords, isRead, PHRASES, readable } from "../../scripts/words.ts";

const SCRIPT = fileURLToPath(new URL("../../scripts/words.ts", import.meta.url));
const CONFIG = fileURLToPath(new URL("../../deno.json", import.meta.url));

/** A phrase of the list. In two strings: this file is checked too. */
const PHRASE = "all the" + " same";

/** The lines of `text` at which a phrase is found, in a file named `file`. */
function linesOf(file: string, text: string): number[] {
  return checkWords(file, readable(file, text)).map(({ line }) => line);
}

test("checkWords finds each phrase of the list in a sentence", () => {
  const examples = [
    "it is to be" + " had",
    "it tel" + "ls more",
    "who" + "ever calls",
    PHRASE,
    "held" + " against it",
    "let" + " go of it",
    "x is" + " no name",
    "a call out" + " of turn",
    "what came" + " of it",
    "one of" + " ours",
    "the in" + "sides",
    "men" + "ded",
    "pati" + "ence",
    "pla" + "ces",
    "the ga" + "te",
  ];
  assertEquals(examples.length, PHRASES.length);
  examples.forEach((example, at) => {
    const found = checkWords("a.ts", `// First ${example}.`);
    assertEquals(found.length, 1, example);
    assert(found[0].message.endsWith(PHRASES[at].instead), `${example}: ${found[0].message}`);
  });
});

test("checkWords ignores longer words, other senses and hyphenated names", () => {
  const good = "There is no name. It is no longer here. It replaces aggregates, gateways and a multi-ga" +
    "te-array. Foretelling. Recommended amendments. It is not a list.";
  assertEquals(checkWords("a.ts", good), []);
});

test("checkWords finds a phrase in any case and across the lines of a comment", () => {
  for (const between of [" ", "\n * ", "\n  // ", "\r\n   * ", "\n> ", "\n"]) {
    const text = `first\n * All the${between}Same`;
    assertEquals(linesOf("a.ts", text), [2], JSON.stringify(between));
  }
  assertEquals(linesOf("a.ts", "// all the\n\n// same"), []);
});

test("checkWords reports file, line and what to write", () => {
  assertEquals(checkWords("b.ts", `\n\n// ${PHRASE}`), [
    { file: "b.ts", line: 3, message: `"${PHRASE}": write still, or anyway` },
  ]);
});

test("readable keeps Markdown's prose and code blocks, and blanks inline code", () => {
  assertEquals(linesOf("a.md", `one\n\`${PHRASE}\`\n${PHRASE}\n`), [3]);
  assertEquals(linesOf("a.md", `\`\`\`ts\n// ${PHRASE}\nconst a = \`x\`;\n\`\`\`\n${PHRASE}`), [2, 5]);
});

test("readable keeps only the strings of a test", () => {
  const text = [
    `// ${PHRASE}`,
    `test("${PHRASE}", () => {});`,
    `/* ${PHRASE} */ test('${PHRASE}', f);`,
    `test(\`${PHRASE} \${a} ${PHRASE} \${b} ${PHRASE}\`, f);`,
    "const t" + "ells = /t" + "ells/;",
  ].join("\n");
  assertEquals(linesOf("tests/a_test.ts", text), [2, 3, 4, 4, 4]);
  assertEquals(linesOf("a.ts", text), [1, 2, 3, 3, 4, 4, 4, 5, 5]);
});

test("isRead takes the library, examples, tests and documents, and leaves historic ADRs and tools out", () => {
  const read = [
    "mod.ts",
    "ffi/raw/gssapi.ts",
    "plugins/ntlm/guest/index.ts",
    "plugins/sdk/assembly/guest.ts",
    "plugins/sdk/template/mod.ts",
    "plugins/sandbox/abi.md",
    "examples/echo_server.ts",
    "tests/spn_test.ts",
    "README.md",
    "docs/guide.md",
    "docs/design/ipsec.md",
    "docs/adr/README.md",
    "docs/adr/0097-new.md",
  ];
  for (const path of read) assert(isRead(path), path);
  for (const path of ["scripts/ok.ts", "bench/main.ts", "docs/adr/0096-old.md", "deno.json", "LICENSE"]) {
    assert(!isRead(path), path);
  }
});

test("the program prints file:line for each phrase and ends with 1, and with 0 where there is none", async () => {
  const root = await Deno.makeTempDir();
  try {
    const args = ["run", "-A", "--no-lock", "--config", CONFIG, SCRIPT, "--root", root];
    await Deno.mkdir(`${root}/docs/adr`, { recursive: true });
    await Deno.writeTextFile(`${root}/docs/adr/0001-a.md`, PHRASE);
    await Deno.writeTextFile(`${root}/mod.ts`, "export {};");
    const good = await run(Deno.execPath(), args, { env: { NO_COLOR: "1" } });
    assertEquals([good.code, good.stdout.trim()], [0, "Words: none of the list is used"]);
    await Deno.writeTextFile(`${root}/docs/a.md`, `\n${PHRASE}`);
    const bad = await run(Deno.execPath(), args, { env: { NO_COLOR: "1" } });
    assertEquals(bad.code, 1);
    assert(bad.stdout.includes(`docs/a.md:2: "${PHRASE}"`), bad.stdout);
    assertEquals((await checkAllWords(`${root}/`)).length, 1);
  } finally {
    await removeTree(root);
  }
});
