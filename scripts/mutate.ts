/**
 * Mutation test: changes one thing in one source file at a time and runs the tests of that file. A change that no test
 * notices is reported.
 *
 * @module
 */

import { dirname } from "node:path";
import { listFiles } from "./files.ts";
import { findMutants, type Mutant, mutate, nameOf } from "./mutants.ts";
import { matches } from "./import_rules.ts";
import { run } from "./process.ts";
import { Random } from "./random.ts";
import { ROOT } from "./root.ts";
import { cleanUpWhenInterrupted, temporaryFolder } from "./temporary.ts";

const RESULTS = `${ROOT}.cache/mutations.json`;
const HARMLESS = `${ROOT}docs/design/mutations.md`;

const HELP = `Usage: deno run -A scripts/mutate.ts [--file PATH]... [--sample N] [--seed S] [--list] [--fresh]

Changes one thing in one source file at a time (a condition, an operator, a boolean, a number, a statement) and
runs the tests of that file. It works in a copy of the tree. Exit code 1 where a change survives that
docs/design/mutations.md does not list as harmless.

  --file PATH  a source file, from the root; may be repeated. Default: ffi/security, sockets, contexts,
               plugins/sandbox and plugins/requirements.ts
  --sample N   tries N changes that are chosen at random
  --seed S     chooses by this number; default 1
  --near       runs only the nearest tests of a file; its results are not kept
  --list       prints the changes and tries none
  --fresh      forgets the results of earlier runs, which .cache/mutations.json keeps for files that are unchanged

Example: nice deno run -A scripts/mutate.ts --file sockets/records.ts`;

/** The source files that are changed. */
export const TARGETS: readonly string[] = [
  "ffi/security/**",
  "sockets/**",
  "contexts/**",
  "plugins/sandbox/**",
  "plugins/requirements.ts",
];

const inSockets = (...names: string[]): string[] => names.map((name) => `tests/sockets/${name}_test.ts`);
const SOCKETS = inSockets("options", "handshake", "connection", "framing", "record_faults");
const MORE_SOCKETS = inSockets(
  "hostile_peer",
  "transport",
  "spare_buffers",
  "streams",
  "abort",
  "impersonation",
  "deadline",
  "release",
);
const LISTENERS = inSockets(
  "listener",
  "connect_listen",
  "limiter",
  "bounded_map",
  "descriptors",
  "unavailable",
);
const integration = (...names: string[]): string[] =>
  names.map((name) => `tests/integration/${name}_test.ts`);
const GSS = integration(
  "gss_context",
  "gss_records",
  "gss_wrap",
  "gss_state",
  "gss_bindings",
  "gss_refusals",
  "gss_targets",
  "gss_names",
  "gss_negotiate",
  "gss_delegation",
  "gss_credentials",
  "gss_caches",
  "gss_expiry",
  "gss_faults",
);

const inGss = (files: string[], ...groups: string[][]): [string, string[][]][] =>
  files.map((file) => [`ffi/security/gss/${file}.ts`, groups]);

/** The tests of each file, by the first pattern that matches, in groups: the nearest first. */
const TESTS: readonly (readonly [pattern: string, groups: readonly (readonly string[])[]])[] = [
  ["ffi/security/sspi/**", [["tests/ffi/security/sspi"]]],
  ["ffi/security/gss/pac.ts", [["tests/ffi/security/gss/pac_test.ts"], integration("samba_pac")]],
  ["ffi/security/gss/order.ts", [
    ["tests/ffi/security/gss/order_test.ts"],
    integration("gss_records", "gss_accelerated"),
  ]],
  ["ffi/security/gss/accelerated_keys.ts", [
    [
      "tests/ffi/security/gss/accelerated_keys_test.ts",
      "tests/ffi/security/gss/accelerated_messages_test.ts",
    ],
  ]],
  ...inGss(
    ["accelerated_crypto", "accelerated_messages"],
    ["tests/ffi/security/gss/accelerated_messages_test.ts"],
    integration("gss_accelerated", "gss_faults"),
  ),
  ["ffi/security/gss/lucid.ts", [
    ["tests/ffi/security/gss/sealing_test.ts"],
    integration("gss_accelerated", "gss_records"),
    integration("gss_faults"),
  ]],
  ...inGss(
    ["accelerated_sealing", "accelerated_directions", "rfc4121"],
    ["tests/ffi/security/gss/accelerated_sealing_test.ts", "tests/ffi/security/gss/order_test.ts"],
    integration("gss_accelerated", "gss_records"),
    integration("gss_faults"),
  ),
  ["ffi/security/gss/ticket_name.ts", [
    ["tests/ffi/security/gss/ticket_name_test.ts"],
    integration("gss_targets", "gss_bare_kerberos"),
  ]],
  ["ffi/security/gss/principal.ts", [
    ["tests/ffi/security/gss/principal_test.ts"],
    integration("gss_names", "gss_users"),
  ]],
  ["ffi/security/gss/target_names.ts", [
    ["tests/ffi/security/gss/kept_test.ts"],
    integration("gss_targets", "gss_names", "gss_users", "gss_negotiate_ntlm", "gss_ntlm"),
    integration("gss_leak"),
  ]],
  ["ffi/security/gss/buffer_sealing.ts", [
    ["tests/ffi/security/gss/sealing_test.ts"],
    integration("gss_negotiate_ntlm", "gss_accelerated"),
  ]],
  ["ffi/security/gss/held_tickets.ts", [
    integration("gss_held_tickets", "gss_waiting"),
    integration("gss_credentials", "gss_caches", "gss_faults"),
  ]],
  ["ffi/security/gss/cache_reader.ts", [
    ["tests/ffi/security/gss/cache_reader_test.ts"],
    integration("gss_held_tickets", "gss_inspect"),
    integration("gss_credentials", "gss_caches", "gss_faults", "gss_leak"),
  ]],
  ["ffi/security/gss/inspect.ts", [integration("gss_inspect"), ["tests/cli/doctor_kerberos_test.ts"]]],
  ["ffi/security/gss/structs.ts", [
    ["tests/ffi/raw/layout_test.ts", "tests/ffi/security/gss"],
    integration("gss_context", "gss_inspect", "gss_held_tickets"),
    GSS,
  ]],
  ...inGss(
    ["records", "sealing", "iov_sealing"],
    ["tests/ffi/security/gss/sealing_test.ts"],
    integration("gss_wrap", "gss_records"),
    integration("gss_context", "gss_state", "gss_faults", "gss_leak", "interop"),
  ),
  ["ffi/security/gss/krb5.ts", [
    ["krb5", "tickets", "cache_reader"].map((name) => `tests/ffi/security/gss/${name}_test.ts`),
    integration("gss_caches", "gss_refusals", "gss_faults"),
  ]],
  ["ffi/security/gss/tickets.ts", [
    ["tests/ffi/security/gss/tickets_test.ts"],
    integration("gss_credentials", "gss_held_tickets", "gss_delegation"),
  ]],
  ...inGss(
    ["credentials", "acquire", "handles"],
    integration("gss_credentials", "gss_caches"),
    integration("gss_expiry", "gss_delegation", "gss_targets", "gss_faults", "gss_users", "gss_leak"),
  ),
  ["ffi/security/gss/peer.ts", [
    ["tests/ffi/security/gss/pac_test.ts"],
    integration("gss_peer", "samba_pac"),
  ]],
  ["ffi/security/gss/requested_target.ts", [
    ["tests/ffi/security/gss/requested_target_test.ts"],
    integration("gss_targets", "gss_bare_kerberos"),
  ]],
  ["ffi/security/gss/key_table.ts", [
    ["tests/ffi/security/gss/requested_target_test.ts"],
    integration("gss_targets", "gss_faults"),
  ]],
  ["ffi/security/gss/**", [
    ["tests/ffi/security/gss"],
    integration("gss_context", "gss_state", "gss_bindings", "gss_negotiate"),
    GSS,
  ]],
  ["ffi/security/**", [["tests/ffi/security"], GSS]],
  ["contexts/**", [
    ["tests/contexts"],
    SOCKETS,
    ["tests/integration/security_context_test.ts"],
    MORE_SOCKETS,
  ]],
  ["plugins/requirements.ts", [
    ["tests/plugins/requirements_test.ts", "tests/plugins/registry_test.ts"],
    SOCKETS,
  ]],
  ["sockets/ipsec/**", [["tests/sockets/ipsec"]]],
  ["sockets/**", [SOCKETS, MORE_SOCKETS, LISTENERS]],
  ["plugins/sandbox/**", [["tests/plugins/sandbox"], ["tests/hostile"]]],
];

/** The test files and folders for `file`, in the order in which they are run. */
export function testsOf(file: string): readonly (readonly string[])[] {
  const found = TESTS.find(([pattern]) => matches(file, [pattern]));
  if (!found) throw new Error(`no tests are known for ${file}: add it to TESTS in scripts/mutate.ts`);
  return found[1];
}

/** The result for one mutant. */
export type Outcome = "killed" | "timed out" | "survived";

/** `count` of `mutants`, the same ones for the same seed. */
export function sample<T>(mutants: readonly T[], count: number, seed: number): T[] {
  const left = [...mutants];
  const chosen: T[] = [];
  const random = new Random(seed);
  while (chosen.length < count && left.length > 0) chosen.push(...left.splice(random.below(left.length), 1));
  return chosen;
}

/** The names of mutants that a page lists as harmless: in blocks of text, the lines that are not indented. */
export function harmlessIn(markdown: string): Set<string> {
  const blocks = markdown.matchAll(/^```text\n(.*?)^```$/gms);
  const lines = Array.from(blocks, ([, block]) => block.split("\n")).flat();
  return new Set(lines.filter((line) => /^\S/.test(line)));
}

/** Runs tests in a copy of the tree. */
class Bench {
  readonly #root: string;
  readonly #env: Readonly<Record<string, string>>;
  readonly #usual = new Map<string, number>();

  constructor(root: string, env: Readonly<Record<string, string>>) {
    this.#root = root;
    this.#env = env;
  }

  /** Copies the tree and makes it ready. */
  async prepare(): Promise<void> {
    for (const file of await listFiles(ROOT.slice(0, -1), (folder) => folder !== "npm/")) {
      await Deno.mkdir(dirname(`${this.#root}/${file}`), { recursive: true });
      await Deno.copyFile(ROOT + file, `${this.#root}/${file}`);
    }
    const { code, stderr } = await this.#deno(["run", "-A", "scripts/import_map.ts"], 60_000);
    if (code !== 0) throw new Error(`the copy of the tree does not work: ${stderr}`);
  }

  #deno(args: string[], timeoutMs: number) {
    return run(Deno.execPath(), args, { cwd: this.#root, env: this.#env, timeoutMs });
  }

  #test(tests: readonly string[], timeoutMs: number) {
    const fixed = [
      "test",
      "-A",
      "--no-check",
      "--fail-fast",
      "--quiet",
      "--import-map=.cache/import_map.json",
    ];
    return this.#deno([...fixed, ...tests], timeoutMs);
  }

  /** How long tests take that pass; throws where they do not pass without a change. */
  async #usually(tests: readonly string[]): Promise<number> {
    const key = tests.join();
    const known = this.#usual.get(key);
    if (known !== undefined) return known;
    // The first run fills the caches of Deno.
    for (let time = 0; time < 2; time++) {
      const began = performance.now();
      const { code, stdout } = await this.#test(tests, 600_000);
      if (code !== 0) throw new Error(`these tests fail without any change: ${key}\n${stdout.slice(-3000)}`);
      this.#usual.set(key, performance.now() - began);
    }
    return this.#usual.get(key)!;
  }

  /** Runs the tests of a mutant's file on it. */
  async try(mutant: Mutant, source: string, near: boolean): Promise<Outcome> {
    const groups = testsOf(mutant.file).slice(0, near ? 1 : undefined);
    for (const tests of groups) await this.#usually(tests);
    const path = `${this.#root}/${mutant.file}`;
    await Deno.writeTextFile(path, mutate(source, mutant));
    try {
      for (const tests of groups) {
        const { code } = await this.#test(tests, Math.round(15_000 + 4 * await this.#usually(tests)));
        if (code !== 0) return code === 128 ? "timed out" : "killed";
      }
      return "survived";
    } finally {
      await Deno.writeTextFile(path, source);
    }
  }
}

/** Results of earlier runs. They count for as long as the source file is the same, and survivors are tried again. */
async function earlier(fresh: boolean): Promise<Record<string, Outcome>> {
  if (fresh) return {};
  return await Deno.readTextFile(RESULTS).then(JSON.parse, () => ({}));
}

async function keyOf(mutant: Mutant, source: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(source));
  const hash = Array.from(new Uint8Array(digest, 0, 6), (byte) => byte.toString(16).padStart(2, "0"));
  return `${hash.join("")} ${nameOf(mutant)}`;
}

interface Options {
  files: string[];
  sample: number;
  seed: number;
  list: boolean;
  near: boolean;
  fresh: boolean;
}

function readArguments(args: readonly string[]): Options {
  const options: Options = { files: [], sample: Infinity, seed: 1, list: false, near: false, fresh: false };
  for (let at = 0; at < args.length; at++) {
    const arg = args[at];
    if (arg === "--list") options.list = true;
    else if (arg === "--near") options.near = true;
    else if (arg === "--fresh") options.fresh = true;
    else if (arg === "--file") options.files.push(args[++at]);
    else if (arg === "--sample") options.sample = Number(args[++at]);
    else if (arg === "--seed") options.seed = Number(args[++at]);
    else throw new Error(`${arg} is not an option; --help lists them`);
  }
  return options;
}

async function main(args: string[]): Promise<number> {
  if (args.includes("--help")) {
    console.log(HELP);
    return 0;
  }
  const options = readArguments(args);
  const all = await listFiles(ROOT.slice(0, -1), (folder) => folder !== "npm/");
  const files = options.files.length > 0
    ? options.files
    : all.filter((file) => file.endsWith(".ts") && matches(file, TARGETS));
  const sources = new Map<string, string>();
  for (const file of files) sources.set(file, await Deno.readTextFile(ROOT + file));
  const every = files.flatMap((file) => findMutants(file, sources.get(file)!));
  const mutants = sample(every, Math.min(options.sample, every.length), options.seed)
    .sort((a, b) => a.file < b.file ? -1 : a.file > b.file ? 1 : a.start - b.start);
  console.log(`${mutants.length} of ${every.length} mutants in ${files.length} files`);
  if (options.list) {
    for (const mutant of mutants) console.log(`${mutant.line}: ${nameOf(mutant)}`);
    return 0;
  }

  const harmless = harmlessIn(await Deno.readTextFile(HARMLESS).catch(() => ""));
  const results = await earlier(options.fresh);
  await using folder = await temporaryFolder("mutations", 0o711);
  const bench = new Bench(`${folder.path}/tree`, folder.env);
  await bench.prepare();
  const count = { killed: 0, "timed out": 0, survived: 0, harmless: 0 };
  for (const [index, mutant] of mutants.entries()) {
    const name = nameOf(mutant);
    const source = sources.get(mutant.file)!;
    const key = await keyOf(mutant, source);
    if (results[key] === undefined || results[key] === "survived") {
      results[key] = await bench.try(mutant, source, options.near);
      await Deno.mkdir(dirname(RESULTS), { recursive: true });
      if (!options.near) await Deno.writeTextFile(RESULTS, JSON.stringify(results, null, 1));
    }
    const outcome = results[key] === "survived" && harmless.has(name) ? "harmless" : results[key];
    count[outcome]++;
    console.log(`${index + 1}/${mutants.length} ${outcome.padEnd(9)} ${mutant.line}: ${name}`);
  }
  console.log(
    `${count.killed} killed, ${count["timed out"]} timed out, ${count.survived} survived, ` +
      `${count.harmless} harmless`,
  );
  return count.survived === 0 ? 0 : 1;
}

if (import.meta.main) {
  cleanUpWhenInterrupted();
  Deno.exit(await main(Deno.args));
}
