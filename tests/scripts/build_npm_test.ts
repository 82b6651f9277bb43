import { assertEquals } from "@std/assert";
import { test } from "@test";
import { readFileSync } from "node:fs";
import { declarations, forOlderTypeScript } from "../../scripts/build_npm.ts";
import { DOCUMENTS, packageJson, repositoryPage, withAbsoluteLinks } from "../../scripts/npm_package.ts";
import { ROOT } from "../../scripts/root.ts";

test("declarations puts a member's comment before its modifier, however many lines it has", () => {
  const written = [
    "export declare const X: {",
    "  readonly /** One line. */ A: 1;",
    "  readonly /**",
    "   * Two",
    "   * lines.",
    "   */ B: readonly [readonly [1]];",
    "  readonly C: 3;",
    "};",
  ].join("\n");
  const mended = [
    "export declare const X: {",
    "  /** One line. */ readonly A: 1;",
    "  /**",
    "   * Two",
    "   * lines.",
    "   */ readonly B: readonly [readonly [1]];",
    "  readonly C: 3;",
    "};",
  ].join("\n");
  assertEquals(declarations(written), `${mended}\nexport {};\n`);
});

test("declarations exports nothing that its module does not export", () => {
  assertEquals(declarations("declare const A: 1;"), "declare const A: 1;\nexport {};\n");
});

test("an array's type parameter, which older TypeScript does not know, is written without it", () => {
  const written =
    "read(): Promise<Uint8Array<ArrayBuffer>>; write(bytes: Uint8Array): Uint8Array<ArrayBuffer> | null;";
  const mended =
    'read(): Promise<ReturnType<Uint8Array["slice"]>>; write(bytes: Uint8Array): ReturnType<Uint8Array["slice"]> | null;';
  assertEquals(forOlderTypeScript(written), mended);
});

test("repositoryPage() is GitHub's in a workflow, else that of the remote, and null where there is none", () => {
  const page = "https://git.example.test/one/t.w-o";
  const workflow = { GITHUB_SERVER_URL: "https://git.example.test", GITHUB_REPOSITORY: "one/t.w-o" };
  assertEquals(repositoryPage(workflow, "https://other.example.test/a/b\n"), page);
  for (const origin of ["https://git.example.test/one/t.w-o", "git@git.example.test:one/t.w-o.git\n"]) {
    assertEquals(repositoryPage({}, origin), page);
  }
  assertEquals(repositoryPage({}, "ssh://git@git.example.test/one/t.w-o.git"), page);
  // A user name or a token in an address does not reach the package.
  for (
    const origin of [
      "",
      "/srv/clone",
      "../clone",
      "https://me:secret@git.example.test/one/two",
      "file:///a/b",
    ]
  ) {
    assertEquals(repositoryPage({}, origin), null, origin);
  }
});

test("the package's documents have absolute links, to this version, and its metadata names the repository", () => {
  const page = "https://git.example.test/one/two";
  const { version, repository, homepage, bugs } = packageJson(".", page);
  assertEquals([repository, homepage, bugs], [
    { type: "git", url: `git+${page}.git` },
    `${page}#readme`,
    `${page}/issues`,
  ]);
  assertEquals(packageJson(".").repository, undefined);
  assertEquals(
    withAbsoluteLinks(
      "[a](docs/a.md#b) ![c [d\\]](docs/c.svg) [e](#f) [g](https://h.test/i) `[1]` (j)",
      page,
    ),
    `[a](${page}/blob/v${version}/docs/a.md#b) ![c [d\\]](${page}/raw/v${version}/docs/c.svg) ` +
      "[e](#f) [g](https://h.test/i) `[1]` (j)",
  );
  for (const name of DOCUMENTS.filter((name) => name.endsWith(".md"))) {
    const text = withAbsoluteLinks(readFileSync(ROOT + name, "utf8"), page);
    const links = [...text.matchAll(/\]\(([^)]+)\)/g)].map(([, to]) => to);
    assertEquals(links.filter((to) => !/^(https:|#)/.test(to)), [], name);
    assertEquals(links.some((to) => to.startsWith(`${page}/blob/v${version}/docs/`)), true, name);
  }
});
