/**
 * What one source file of the library may not contain, found in its syntax tree: a comment can neither offend nor
 * excuse.
 *
 * @module
 */

import ts from "typescript";
import { EXTERNAL, EXTERNAL_TYPES, FORBIDDEN_NAME, matches, NODE_DOORS } from "./import_rules.ts";

/** One broken rule. */
export interface Violation {
  /** The file, as a path from the root. */
  file: string;
  /** The line, counted from 1. */
  line: number;
  /** What is wrong and what to do. */
  message: string;
}

const DOORS = new Set(["getBuiltinModule", "createRequire", "require"]);

/** Checks the text of one library file; `file` is its path from the root. */
export function checkSource(file: string, text: string): Violation[] {
  const tree = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true, ts.ScriptKind.TS);
  const violations: Violation[] = [];
  const report = (node: ts.Node, message: string): void => {
    const line = tree.getLineAndCharacterOfPosition(node.getStart(tree)).line + 1;
    violations.push({ file, line, message });
  };
  const visit = (node: ts.Node): void => {
    checkNode(node, file, report);
    ts.forEachChild(node, visit);
  };
  visit(tree);
  return violations;
}

function checkNode(node: ts.Node, file: string, report: (node: ts.Node, message: string) => void): void {
  const words = textOf(node);
  const forbidden = words === null ? null : FORBIDDEN_NAME.exec(words);
  if (forbidden) report(node, `${forbidden[0]} is forbidden in the library: use ffi/memory/memory.ts`);
  if (words !== null && DOORS.has(words) && !matches(file, NODE_DOORS)) {
    report(node, `${words} is a door to Node: only the files of NODE_DOORS may use it`);
  }
  if (ts.isElementAccessExpression(node) && isDeno(node.expression) && !isText(node.argumentExpression)) {
    report(node, "a computed member of Deno cannot be checked: write the name out");
  }
  if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword) {
    const [what] = node.arguments;
    if (!what || !isText(what)) report(node, "a computed import cannot be checked: write the module out");
    else if (!isRelative(what.text)) {
      report(node, `import(${JSON.stringify(what.text)}) would be looked for wherever this file is loaded`);
    }
  }
  const from = importedFrom(node);
  const allowed = isTypeOnly(node) ? [EXTERNAL, EXTERNAL_TYPES] : [EXTERNAL];
  if (from !== null && !isRelative(from.text) && !allowed.some((table) => allows(table, file, from.text))) {
    report(
      from,
      `${from.text} comes from elsewhere: the library imports only itself (EXTERNAL lists exceptions)`,
    );
  }
}

function textOf(node: ts.Node): string | null {
  if (ts.isIdentifier(node) || ts.isPrivateIdentifier(node)) return node.text;
  if (ts.isStringLiteralLike(node) || ts.isTemplateHead(node)) return node.text;
  if (ts.isTemplateMiddle(node) || ts.isTemplateTail(node)) return node.text;
  if (ts.isRegularExpressionLiteral(node) || ts.isJsxText(node)) return node.text;
  return null;
}

function isText(node: ts.Node): node is ts.StringLiteralLike {
  return ts.isStringLiteralLike(node);
}

function isDeno(node: ts.Expression): boolean {
  if (ts.isPropertyAccessExpression(node)) return node.name.text === "Deno";
  if (ts.isParenthesizedExpression(node) || ts.isNonNullExpression(node)) return isDeno(node.expression);
  if (ts.isAsExpression(node)) return isDeno(node.expression);
  return ts.isIdentifier(node) && /^deno$/i.test(node.text);
}

function isRelative(specifier: string): boolean {
  return specifier.startsWith("./") || specifier.startsWith("../");
}

/** The module a statement, or an `import("x").T` type, names. */
function importedFrom(node: ts.Node): ts.StringLiteralLike | null {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) {
    return node.moduleSpecifier && isText(node.moduleSpecifier) ? node.moduleSpecifier : null;
  }
  if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument) && isText(node.argument.literal)) {
    return node.argument.literal;
  }
  return null;
}

function isTypeOnly(node: ts.Node): boolean {
  if (ts.isImportDeclaration(node)) return node.importClause?.isTypeOnly ?? false;
  return ts.isExportDeclaration(node) ? node.isTypeOnly : ts.isImportTypeNode(node);
}

function allows(table: typeof EXTERNAL, file: string, specifier: string): boolean {
  return Object.entries(table).some(([pattern, allowed]) =>
    matches(file, [pattern]) && allowed.some((name) => specifier === name || specifier.startsWith(`${name}/`))
  );
}
