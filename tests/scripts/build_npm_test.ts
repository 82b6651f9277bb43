import { assertEquals } from "@std/assert";
import { test } from "@test";
import { declarations, forOlderTypeScript } from "../../scripts/build_npm.ts";

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
