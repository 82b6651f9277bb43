/**
 * What `deno task test:npm` was asked to run: its arguments, read.
 *
 * @module
 */

import { resolve } from "node:path";
import { matches } from "./import_rules.ts";
import { NODE_VERSIONS, SUITE_NODE_VERSIONS } from "./node.ts";
import { pathFrom, ROOT } from "./root.ts";

/** What `--help` shows, and what follows an argument that is wrong. */
export const HELP = `Usage: deno task test:npm [--no-install] [--node ${
  NODE_VERSIONS.join("|")
}] [test files or folders]

Builds the npm package, checks it as its users would (tests/npm), and runs the tests on Node against the installed
package, never the sources. Node itself comes from the npm registry, whatever Node is on this machine.
Files and folders choose among these tests; without any, all run.

  --no-install    install no Debian packages, fetch no .NET; tests that need them are skipped
  --node VERSION  only that version of Node, and without tests/npm; default: ${
  SUITE_NODE_VERSIONS.join(" and ")
}
  --help          show this

Examples:
  deno task test:npm tests/ffi
  deno task test:npm --node ${NODE_VERSIONS[0]} tests/ffi/memory/struct_test.ts tests/sockets`;

/** The tests of what only a user of the package sees, which Deno runs. */
const ACCEPTANCE = ["tests/npm/**"];
/** Tests of the scripts, which Deno runs, and those that have a task of their own. */
const ELSEWHERE: readonly (readonly [pattern: string, task: string])[] = [
  ["tests/scripts/**", "deno task test"],
  ["tests/windows/**", "deno task test:windows"],
];

/** What to run. */
export interface Selection {
  /** Whether these are all tests there are, on every version. */
  readonly all: boolean;
  /** Whether peers may be installed. */
  readonly install: boolean;
  /** The versions of Node. */
  readonly versions: readonly number[];
  /** The files that Deno runs over the package. */
  readonly acceptance: readonly string[];
  /** The files that Node runs. */
  readonly onNode: readonly string[];
}

/**
 * Reads the arguments; `null` where they ask for help.
 *
 * @param files every file of the repository, from its root.
 * @throws RangeError that names an argument which is wrong, and shows how to write them.
 */
export function selectTests(args: readonly string[], files: readonly string[]): Selection | null {
  if (args.includes("--help")) return null;
  const paths: string[] = [];
  let install = true;
  let node: number | null = null;
  const rest = [...args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (arg === "--no-install") install = false;
    else if (arg === "--node") node = version(rest.shift());
    else if (arg.startsWith("--node=")) node = version(arg.slice("--node=".length));
    else if (arg.startsWith("-")) wrong(`${arg} is not known`);
    else paths.push(arg);
  }
  const tests = files.filter((file) => /^tests\/.*_test\.ts$/.test(file));
  const chosen = paths.length === 0 ? tests : [...new Set(paths.flatMap((path) => testsOf(path, tests)))];
  const elsewhere = ELSEWHERE.map(([pattern]) => pattern);
  return {
    all: node === null && tests.every((file) => chosen.includes(file) || matches(file, elsewhere)),
    install,
    versions: node === null ? SUITE_NODE_VERSIONS : [node],
    acceptance: node === null ? chosen.filter((file) => matches(file, ACCEPTANCE)) : [],
    onNode: chosen.filter((file) => !matches(file, [...ACCEPTANCE, ...elsewhere])),
  };

  function version(value: string | undefined): number {
    const major = Number(value);
    if (NODE_VERSIONS.includes(major)) return major;
    return wrong(`--node takes one of ${NODE_VERSIONS.join(", ")}, not ${value ?? "nothing"}`);
  }

  /** The tests that a path from here names, of which at least one is to be run. */
  function testsOf(path: string, tests: readonly string[]): string[] {
    const below = pathFrom(ROOT, resolve(path)) ?? "";
    const found = tests.filter((file) => file === below || file.startsWith(`${below}/`));
    if (below === "" || found.length === 0) {
      wrong(`${path} is not a test file of this repository, nor a folder with any`);
    }
    const runs = found.filter((file) => !ELSEWHERE.some(([pattern]) => matches(file, [pattern])));
    if (runs.length === 0) {
      const [, task] = ELSEWHERE.find(([pattern]) => matches(found[0], [pattern]))!;
      wrong(`${path} is not for the npm package: run ${task}`);
    }
    if (node !== null && runs.every((file) => matches(file, ACCEPTANCE))) {
      wrong(`${path} is run without --node: it is Deno that runs it`);
    }
    return runs;
  }
}

function wrong(problem: string): never {
  throw new RangeError(`${problem}\n\n${HELP}`);
}
