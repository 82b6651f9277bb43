import { assertEquals } from "@std/assert";
import { test } from "@test";
import { declarations } from "../../scripts/build_npm.ts";

test("a member's comment stands before its modifier, however many lines it has", () => {
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

test("what a module keeps to itself is not exported", () => {
  assertEquals(declarations("declare const A: 1;"), "declare const A: 1;\nexport {};\n");
});
