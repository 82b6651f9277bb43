/**
 * Which test files run on Windows, on which runtimes, and what each needs around it. Every file of
 * `tests/windows` is named here; a test compares the list with the folder.
 *
 * @module
 */

import type { Grant } from "../../../ffi/permissions.ts";
import { portableFiles } from "./portable.ts";

/** A JavaScript runtime for Windows. */
export type Runtime = "deno" | "node22" | "node26";

/** The content of a suite's credential cache. */
export type Identity = "alice" | "nobody" | "expired";

/** Test files that need the same surroundings. */
export interface Suite {
  /** The suite's name for `--suite`. */
  readonly name: string;
  /** Test files, relative to the repository's root. */
  readonly files: readonly string[];
  /** Programs its tests start, which Node needs as bundles too. */
  readonly programs?: readonly string[];
  /** The runtimes it runs on. */
  readonly runtimes: readonly Runtime[];
  /** The grants whose printed flags, with loopback, are all that Deno allows; left out: everything is allowed. */
  readonly grants?: readonly Grant[];
  /** True where the working folder, and that of the runtime's program, contain hostile libraries under the system's names. */
  readonly planted?: true;
  /** Whose Kerberos tickets Wine finds: alice's, none, or alice's from yesterday. Left out: alice's. */
  readonly identity?: Identity;
  /** True where Windows must find the test doubles instead of its own fwpuclnt.dll and ntdsapi.dll. */
  readonly fixture?: true;
}

const ALL: readonly Runtime[] = ["deno", "node22", "node26"];

/** The suites, in the order they run. */
export const SUITES: readonly Suite[] = [
  { name: "rig", files: ["tests/windows/rig_test.ts"], runtimes: ALL },
  {
    name: "sspi",
    files: ["tests/windows/sspi_contexts_test.ts", "tests/windows/streams_test.ts"],
    runtimes: ALL,
  },
  { name: "nobody", files: ["tests/windows/no_credentials_test.ts"], runtimes: ALL, identity: "nobody" },
  { name: "ntlm", files: ["tests/windows/ntlm_client_test.ts"], runtimes: ALL, identity: "nobody" },
  { name: "expired", files: ["tests/windows/expired_test.ts"], runtimes: ALL, identity: "expired" },
  { name: "ntdsapi", files: ["tests/windows/ntdsapi_test.ts"], runtimes: ALL },
  { name: "fwpuclnt", files: ["tests/windows/fwpuclnt_windows_test.ts"], runtimes: ALL },
  { name: "user", files: ["tests/windows/current_user_test.ts"], runtimes: ALL, identity: "nobody" },
  { name: "portable", files: portableFiles(), runtimes: ["deno", "node22"] },
  {
    name: "winsock",
    files: [
      "tests/windows/names_test.ts",
      "tests/windows/winsock_load_test.ts",
      "tests/windows/winsock_test.ts",
    ],
    runtimes: ALL,
  },
  {
    name: "authority",
    files: ["tests/windows/least_authority_test.ts"],
    runtimes: ["deno"],
    grants: ["sspi"],
  },
  {
    name: "authority-contexts",
    files: ["tests/windows/sspi_contexts_test.ts", "tests/windows/streams_test.ts"],
    runtimes: ["deno"],
    grants: ["sspi", "impersonation"],
  },
  {
    name: "authority-sockets",
    files: [
      "tests/windows/names_test.ts",
      "tests/windows/winsock_load_test.ts",
      "tests/windows/winsock_test.ts",
    ],
    runtimes: ["deno"],
    grants: ["sockets"],
  },
  {
    name: "authority-ipsec",
    files: ["tests/windows/least_ipsec_test.ts"],
    runtimes: ["deno"],
    grants: ["ipsec"],
    fixture: true,
  },
  {
    name: "authority-policy-alone",
    files: ["tests/windows/least_policy_test.ts"],
    runtimes: ["deno"],
    grants: ["ipsec.policy"],
    fixture: true,
  },
  {
    name: "authority-policy",
    files: ["tests/windows/ipsec_test.ts"],
    runtimes: ["deno"],
    grants: ["ipsec", "ipsec.policy", "impersonation"],
    fixture: true,
  },
  {
    name: "authority-directory",
    files: ["tests/windows/least_directory_test.ts"],
    runtimes: ["deno"],
    grants: ["directory"],
    fixture: true,
  },
  { name: "planting", files: ["tests/windows/planting_test.ts"], runtimes: ALL, planted: true },
  {
    name: "fixture",
    files: [
      "tests/windows/association_fixture_test.ts",
      "tests/windows/fwpuclnt_fixture_test.ts",
      "tests/windows/fwpuclnt_windows_test.ts",
      "tests/windows/examples_test.ts",
      "tests/windows/ipsec_log_test.ts",
      "tests/windows/ipsec_test.ts",
      "tests/windows/ntdsapi_fixture_test.ts",
    ],
    programs: ["examples/query_tcp_socket_security.ts", "examples/secure_tcp_connect.ts"],
    runtimes: ALL,
    fixture: true,
  },
];

/** The suites a command line asked for. */
export function selectSuites(
  wanted: { readonly suite?: string; readonly runtime?: string },
  suites: readonly Suite[] = SUITES,
): Suite[] {
  const { suite, runtime } = wanted;
  // The oracle is not a test file: it needs a compiler, and no runtime for Windows.
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
