import { assert, assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import ts from "typescript";
import { harmlessIn, sample, testsOf } from "../../scripts/mutate.ts";
import { findMutants, mutate, nameOf } from "../../scripts/mutants.ts";

const FILE = "sockets/example.ts";
const SOURCE = `import { a } from "./a.ts";
/** Types are left alone. */
type Flag = true | 1;
export function check(left: number, right: number): boolean {
  if (left < right && right !== 0) {
    log("left " + left);
    return false;
  }
  if (!a) throw new Error("none");
  return true;
}
class Box {
  clear(): void {
    if (this.full) return;
    this.size = 0;
  }
}
`;

test("findMutants() finds conditions, operators, booleans, numbers and statements, each with a name of its own", () => {
  assertEquals(findMutants(FILE, SOURCE).map((mutant) => `${mutant.line} ${nameOf(mutant)}`), [
    `5 ${FILE} check: left < right => left <= right`,
    `5 ${FILE} check: left < right && right !== 0 => !(left < right && right !== 0)`,
    `5 ${FILE} check: left < right && right !== 0 => left < right || right !== 0`,
    `5 ${FILE} check: right !== 0 => right === 0`,
    `5 ${FILE} check: 0 => (0 + 1)`,
    `6 ${FILE} check: log("left " + left); => ;`,
    `7 ${FILE} check: return false; => ;`,
    `7 ${FILE} check: false => true`,
    `9 ${FILE} check: !a => !(!a)`,
    `9 ${FILE} check: throw new Error("none"); => ;`,
    `10 ${FILE} check: true => false`,
    `14 ${FILE} clear: this.full => !(this.full)`,
    `14 ${FILE} clear: return; => ;`,
    `15 ${FILE} clear: this.size = 0; => ;`,
    `15 ${FILE} clear: 0 => (0 + 1)`,
  ]);
});

test("mutate() changes the source at one place and keeps it syntactically correct", () => {
  const mutants = findMutants(FILE, SOURCE);
  const changed = mutants.map((mutant) => mutate(SOURCE, mutant));
  assertEquals(new Set([SOURCE, ...changed]).size, mutants.length + 1);
  for (const text of changed) {
    const { diagnostics } = ts.transpileModule(text, { reportDiagnostics: true });
    assertEquals(diagnostics?.length, 0, text);
  }
});

test("the name of a mutant stays when lines are added in front of it", () => {
  const names = (source: string) => findMutants(FILE, source).map(nameOf);
  assertEquals(names(`// More.\n\n${SOURCE}`), names(SOURCE));
});

test("sample() chooses the same mutants for the same seed, each once, and others for another seed", () => {
  const all = Array.from({ length: 100 }, (_, index) => index);
  const chosen = sample(all, 20, 5);
  assertEquals([chosen.length, new Set(chosen).size], [20, 20]);
  assertEquals(sample(all, 20, 5), chosen);
  assert(sample(all, 20, 6).join() !== chosen.join());
  assertEquals(sample(all, 100, 1).sort((a, b) => a - b), all);
});

test("harmlessIn() reads the names of blocks of text, and neither the reasons below them nor other text", () => {
  const page =
    "# A page\n\na.ts g: x => ;\n\n```text\na.ts f: x => ;\n  It is not used.\nb.ts f: a || b => a && b\n  So.\n```\n";
  assertEquals(harmlessIn(page), new Set(["a.ts f: x => ;", "b.ts f: a || b => a && b"]));
});

test("testsOf() knows the tests of each file that is changed, and says where to add others", () => {
  assert(testsOf("plugins/sandbox/guard.ts")[0].includes("tests/plugins/sandbox"));
  assert(testsOf("sockets/ipsec/terms.ts")[0].includes("tests/sockets/ipsec"));
  assertThrows(() => testsOf("mod.ts"), Error, "TESTS in scripts/mutate.ts");
});
