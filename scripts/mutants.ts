/**
 * Finds the small changes ("mutants") that tests of a source file should notice.
 *
 * @module
 */

import ts from "typescript";

/** What a mutant changes. */
export type MutantKind =
  | "condition negated"
  | "operator changed"
  | "boolean flipped"
  | "number changed"
  | "statement removed";

/** One change of one source file. */
export interface Mutant {
  /** The file's path from the root, with slashes. */
  readonly file: string;
  /** What is changed. */
  readonly kind: MutantKind;
  /** The line of the change, from 1. */
  readonly line: number;
  /** The function or member that it is in; `module` outside of any. */
  readonly within: string;
  /** The text before the change, on one line and shortened. */
  readonly before: string;
  /** The text after it, likewise. */
  readonly after: string;
  /** Which of the equal changes of one function it is, from 1. */
  readonly index: number;
  /** Where the text to replace begins in the file. */
  readonly start: number;
  /** Where it ends. */
  readonly end: number;
  /** What replaces it. */
  readonly text: string;
}

const OPERATORS: { readonly [operator: string]: string } = {
  "===": "!==",
  "!==": "===",
  "<": "<=",
  "<=": "<",
  ">": ">=",
  ">=": ">",
  "&&": "||",
  "||": "&&",
  "+": "-",
  "-": "+",
  "*": "+",
  "&": "|",
  "|": "&",
  "<<": ">>",
  ">>": "<<",
  "^": "&",
};
const SHOWN = 70;

/** Names a mutant without its line, so that the name survives changes elsewhere in the file. */
export function nameOf({ file, within, before, after, index }: Mutant): string {
  return `${file} ${within}: ${before} => ${after}${index > 1 ? ` (${index})` : ""}`;
}

/** The source with the mutant's change. */
export function mutate(source: string, { start, end, text }: Mutant): string {
  return source.slice(0, start) + text + source.slice(end);
}

/** Every mutant of `source`, in the order of their text. Types, imports and messages of errors are left alone. */
export function findMutants(file: string, source: string): Mutant[] {
  const parsed = ts.createSourceFile(file, source, ts.ScriptTarget.Latest, true);
  const found: Mutant[] = [];
  const met = new Map<string, number>();

  const add = (kind: MutantKind, node: ts.Node, text: string, start = node.getStart(parsed)): void => {
    const end = node.getEnd();
    const draft: Mutant = {
      file,
      kind,
      line: parsed.getLineAndCharacterOfPosition(start).line + 1,
      within: ownerOf(node),
      before: shorten(source.slice(start, end)),
      after: shorten(text),
      index: 1,
      start,
      end,
      text,
    };
    const index = (met.get(nameOf(draft)) ?? 0) + 1;
    met.set(nameOf(draft), index);
    found.push({ ...draft, index });
  };

  const visit = (node: ts.Node): void => {
    if (ts.isTypeNode(node) || ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) return;
    if (ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) return;
    mutantsOf(node, source, parsed, add);
    ts.forEachChild(node, visit);
  };
  visit(parsed);
  return found.sort((a, b) => a.start - b.start || a.end - b.end);
}

type Add = (kind: MutantKind, node: ts.Node, text: string) => void;

function mutantsOf(node: ts.Node, source: string, parsed: ts.SourceFile, add: Add): void {
  const textOf = (part: ts.Node): string => source.slice(part.getStart(parsed), part.getEnd());
  const negate = (condition: ts.Expression): void => {
    // Negating a comparison for equality is what changing its operator does.
    if (ts.isBinaryExpression(condition) && /^[!=]==$/.test(condition.operatorToken.getText(parsed))) return;
    add("condition negated", condition, `!(${textOf(condition)})`);
  };
  if (ts.isIfStatement(node)) negate(node.expression);
  else if (ts.isConditionalExpression(node)) negate(node.condition);
  else if (ts.isBinaryExpression(node)) {
    const operator = node.operatorToken.getText(parsed);
    const other = OPERATORS[operator];
    if (other !== undefined && !isText(node)) {
      add("operator changed", node, `${textOf(node.left)} ${other} ${textOf(node.right)}`);
    }
  } else if (node.kind === ts.SyntaxKind.TrueKeyword) add("boolean flipped", node, "false");
  else if (node.kind === ts.SyntaxKind.FalseKeyword) add("boolean flipped", node, "true");
  else if (ts.isNumericLiteral(node) || ts.isBigIntLiteral(node)) {
    if (!ts.isPropertyAssignment(node.parent) || node.parent.name !== node) {
      const one = ts.isBigIntLiteral(node) ? "1n" : "1";
      add("number changed", node, `(${textOf(node)} + ${one})`);
      if (!/^0n?$/.test(node.text)) add("number changed", node, `(${textOf(node)} - ${one})`);
    }
  } else if (isRemovable(node)) {
    add("statement removed", node, ";");
  }
}

function isRemovable(node: ts.Node): boolean {
  if (ts.isThrowStatement(node)) return true;
  if (ts.isReturnStatement(node)) return !isLastOfFunction(node);
  if (!ts.isExpressionStatement(node)) return false;
  const { expression } = node;
  return !(ts.isCallExpression(expression) && expression.expression.kind === ts.SyntaxKind.SuperKeyword);
}

/** A return at the end of a function: without it the types no longer hold, which is no test's to notice. */
function isLastOfFunction({ parent, expression }: ts.ReturnStatement): boolean {
  return expression !== undefined && ts.isBlock(parent) && ts.isFunctionLike(parent.parent) &&
    parent.statements.length > 0;
}

/** A sum of texts. */
function isText(node: ts.BinaryExpression): boolean {
  if (node.operatorToken.kind !== ts.SyntaxKind.PlusToken) return false;
  return [node.left, node.right].some((side) =>
    ts.isStringLiteralLike(side) || ts.isTemplateExpression(side) ||
    (ts.isBinaryExpression(side) && isText(side))
  );
}

function shorten(text: string): string {
  const line = text.replace(/\s+/g, " ");
  return line.length <= SHOWN ? line : `${line.slice(0, SHOWN - 1)}…`;
}

function ownerOf(node: ts.Node): string {
  for (let at: ts.Node | undefined = node; at !== undefined; at = at.parent) {
    const { name } = at as { name?: ts.Node };
    if (ts.isConstructorDeclaration(at)) return "constructor";
    if ((ts.isFunctionDeclaration(at) || ts.isMethodDeclaration(at) || ts.isAccessor(at)) && name) {
      return name.getText();
    }
    if (ts.isVariableDeclaration(at) && ts.isSourceFile(at.parent.parent.parent)) return at.name.getText();
  }
  return "module";
}
