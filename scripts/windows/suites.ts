/**
 * Which test files run on Windows, on which runtimes, and what each needs around it. Every file of
 * `tests/windows` is named here; a test holds the list against the folder.
 *
 * @module
 */

/** A JavaScript runtime for Windows. */
export type Runtime = "deno" | "node22" | "node26";

/** What the credential cache of a suite holds. */
export type Identity = "alice" | "nobody" | "expired";

/** Test files that need the same surroundings. */
export interface Suite {
  /** The name `--suite` takes. */
  readonly name: string;
  /** Test files, relative to the repository's root. */
  readonly files: readonly string[];
  /** The runtimes it runs on. */
  readonly runtimes: readonly Runtime[];
  /** Deno's permission flags; left out: all of them. */
  readonly permissions?: readonly string[];
  /** Whose Kerberos tickets Wine finds: alice's, nobody's, or alice's from yesterday. Left out: alice's. */
  readonly identity?: Identity;
  /** True where Windows must find our fixture instead of its own fwpuclnt.dll. */
  readonly fixture?: true;
}

const ALL: readonly Runtime[] = ["deno", "node22", "node26"];

/** The suites, in the order they run. */
export const SUITES: readonly Suite[] = [
  { name: "rig", files: ["tests/windows/rig_test.ts"], runtimes: ALL },
  { name: "sspi", files: ["tests/windows/sspi_contexts_test.ts"], runtimes: ALL },
  { name: "fixture", files: ["tests/windows/fwpuclnt_fixture_test.ts"], runtimes: ALL, fixture: true },
];

/** The suites a command line asked for. */
export function selectSuites(
  wanted: { readonly suite?: string; readonly runtime?: string },
  suites: readonly Suite[] = SUITES,
): Suite[] {
  const { suite, runtime } = wanted;
  // The oracle is no test file: it needs a compiler, and no runtime for Windows.
  if (suite === "oracle") return [];
  if (suite !== undefined && !suites.some((each) => each.name === suite)) {
    throw new RangeError(
      `--suite=${suite} is not known; use one of ${suites.map((each) => each.name).join(", ")}`,
    );
  }
  if (runtime !== undefined && !ALL.includes(runtime as Runtime)) {
    throw new RangeError(`--runtime=${runtime} is not known; use one of ${ALL.join(", ")}`);
  }
  return suites
    .filter((each) => suite === undefined || each.name === suite)
    .map((each) =>
      runtime === undefined ? each : { ...each, runtimes: each.runtimes.filter((one) => one === runtime) }
    )
    .filter((each) => each.runtimes.length > 0);
}
