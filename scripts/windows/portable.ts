/**
 * The tests outside of `tests/windows` that say nothing of one operating system, and so run on Windows too.
 *
 * @module
 */

const TESTS = new URL("../../tests/", import.meta.url);
const FOLDERS = ["ffi", "hostile", "plugins", "sockets"];

/** Tests that need a Unix: a compiler, a shell, its folders. */
const OF_UNIX: readonly string[] = [
  "tests/ffi/backends_test.ts",
  "tests/ffi/layout_test.ts",
  "tests/ffi/machine_policy_test.ts",
  "tests/ffi/memory_test.ts",
  "tests/ffi/system_test.ts",
];
/** Tests that compile WebAssembly with packages the rig has not; the module they end with is the same everywhere. */
const COMPILING: readonly string[] = [
  "tests/hostile/containment_test.ts",
  "tests/hostile/hostile_test.ts",
  "tests/plugins/ntlm/build_test.ts",
  "tests/plugins/ntlm/parsers_test.ts",
  "tests/plugins/ntlm/records_test.ts",
  "tests/plugins/ntlm/text_test.ts",
  "tests/plugins/ntlm/vectors_test.ts",
];

/** Tests whose peers must answer within a tenth of a second, which Wine on a busy machine does not. */
const QUICK: readonly string[] = ["tests/sockets/connect_listen_test.ts"];

const LEFT_OUT: readonly string[] = [...OF_UNIX, ...COMPILING, ...QUICK];

/** The files, relative to the repository's root. */
export function portableFiles(): string[] {
  const files = ["tests/spn_test.ts", ...FOLDERS.flatMap((folder) => testsIn(`tests/${folder}`))];
  return files.filter((file) => !LEFT_OUT.includes(file)).sort();
}

function testsIn(folder: string): string[] {
  return [...Deno.readDirSync(new URL(`../${folder}/`, TESTS))].flatMap(({ name, isDirectory }) => {
    const path = `${folder}/${name}`;
    return isDirectory ? testsIn(path) : name.endsWith("_test.ts") ? [path] : [];
  });
}
