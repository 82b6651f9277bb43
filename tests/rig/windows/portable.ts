/**
 * Tests outside of `tests/windows` that test something of Windows too: its sockets, its timers, its runtimes.
 *
 * @module
 */

const TESTS = new URL("../../", import.meta.url);

/** Tests in `tests/sockets` whose peers must answer within a tenth of a second, as Wine on a busy machine does not. */
const QUICK: readonly string[] = ["tests/sockets/connect_listen_test.ts"];
/** Long runs over simulated hosts, which test nothing of Windows that the shorter ones do not. */
const LONG: readonly string[] = ["tests/sockets/ipsec/outcomes_test.ts", "tests/sockets/ipsec/load_test.ts"];
/** Tests that compile a guest, for which the rig has no compiler. */
const COMPILES: readonly string[] = ["tests/sockets/ipsec/third_party_test.ts"];
/** Tests of what does not exist on Windows. */
const ELSEWHERE = "tests/sockets/ipsec/elsewhere_test.ts";

/** The files, relative to the repository's root. Tests that compile or that need a Unix are not among them. */
export function portableFiles(): string[] {
  return [
    "tests/ffi/winsock/buffers_test.ts",
    "tests/ffi/winsock/completion_port_test.ts",
    "tests/ffi/permissions_test.ts",
    "tests/ffi/winsock/simulated_sockets_test.ts",
    "tests/ffi/security/sspi/records_test.ts",
    "tests/ffi/memory/struct_test.ts",
    "tests/ffi/backends/threaded_buffers_test.ts",
    "tests/ffi/transport/transport_test.ts",
    "tests/plugins/ntlm/exchange_test.ts",
    "tests/plugins/ntlm/provider_test.ts",
    "tests/plugins/policy_test.ts",
    "tests/plugins/registry_test.ts",
    "tests/plugins/sandbox/read_module_test.ts",
    ...[...testsOf("tests/sockets"), ...testsOf("tests/sockets/ipsec")].filter((file) =>
      ![...QUICK, ...LONG, ...COMPILES, ELSEWHERE].includes(file)
    ),
    "tests/spn_test.ts",
  ];
}

function testsOf(folder: string): string[] {
  const names = [...Deno.readDirSync(new URL(`../${folder}/`, TESTS))].map(({ name }) => name);
  return names.filter((name) => name.endsWith("_test.ts")).sort().map((name) => `${folder}/${name}`);
}
