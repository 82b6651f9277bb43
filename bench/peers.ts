/**
 * Builds the peers of the bench, starts them, and asks them for measures.
 *
 * @module
 */

import { type ChildProcess, spawn } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { createInterface, type Interface } from "node:readline";
import { buildNpm } from "../scripts/build_npm.ts";
import { cached, once } from "../scripts/cache.ts";
import { ensureNode } from "../scripts/node.ts";
import { mustRun, npm, run } from "../scripts/process.ts";
import { ROOT } from "../scripts/root.ts";
import type { PeerName } from "./measures.ts";

/** The Debian packages the peers are built with. */
export const BUILD_PACKAGES: readonly string[] = [
  "gcc",
  "g++",
  "libc6-dev",
  "libkrb5-dev",
  "make",
  "python3",
  "util-linux",
];
const NODE = 22;
/** The peer from npm. */
export const NPM_KERBEROS = "kerberos@7.0.0";
const HERE = join(ROOT, "bench");

/** How a peer is started. */
export interface Program {
  /** Which one it is. */
  readonly name: PeerName;
  /** The program and its arguments. */
  readonly command: readonly string[];
  /** Variables it needs. */
  readonly env?: Record<string, string>;
}

/** A program that is unavailable here, and why. */
export interface Absent {
  /** Which one it is. */
  readonly name: PeerName;
  /** Why, in a sentence. */
  readonly reason: string;
}

/** Compiles, packs and fetches the peers; what is made of this repository goes to `folder`. */
export function buildPeers(folder: string): Promise<(Program | Absent)[]> {
  const builds: [PeerName, () => Promise<Omit<Program, "name">>][] = [
    ["C", () => buildC(folder)],
    // deno-lint-ignore require-await -- as the others
    ["Deno", async () => ({ command: [Deno.execPath(), "run", "-A", join(HERE, "ours.ts")] })],
    ["Node", () => buildForNode(join(folder, "node"), ["ours.ts", "contexts.ts", "peer.ts"])],
    ["npm", buildNpmKerberos],
  ];
  return Promise.all(builds.map(([name, build]) =>
    build().then(
      (program) => ({ name, ...program }),
      (error: Error) => ({ name, reason: error.message }),
    )
  ));
}

async function buildC(folder: string): Promise<Omit<Program, "name">> {
  const program = join(folder, "gss_bench");
  const source = join(HERE, "gss_bench.c");
  await mustRun("gcc", ["-O2", "-Wall", "-Wextra", "-o", program, source, "-lgssapi_krb5", "-lkrb5"]);
  return { command: [program] };
}

/**
 * The library on Node is the npm package, installed: Node could not even read the sources. `files` of this folder are put
 * beside it; the first is the program.
 */
export async function buildForNode(folder: string, files: readonly string[]): Promise<Omit<Program, "name">> {
  const tarball = await buildNpm();
  mkdirSync(folder);
  writeFileSync(join(folder, "package.json"), '{ "private": true, "type": "module" }\n');
  await npm(["install", "--no-audit", "--no-fund", "--prefer-offline", tarball], { cwd: folder });
  for (const file of files) copyFileSync(join(HERE, file), join(folder, file));
  return onNode(join(folder, files[0]));
}

/** A program that Node runs as it is. */
export async function onNode(file: string): Promise<Omit<Program, "name">> {
  return { command: [await ensureNode(NODE), "--disable-warning=ExperimentalWarning", file] };
}

async function buildNpmKerberos(): Promise<Omit<Program, "name">> {
  const modules = join(await installed(NPM_KERBEROS), "node_modules");
  const addon = join(modules, "kerberos/build/Release/kerberos.node");
  if (!existsSync(addon)) throw new Error(`npm did not build ${addon}`);
  return { ...await onNode(join(HERE, "npm_kerberos.ts")), env: { NODE_PATH: modules } };
}

/** The folder an npm package is installed in, built from its sources where it has any to build. */
export async function installed(spec: string): Promise<string> {
  const folder = cached(`bench-${spec.replace("@", "-")}`);
  const env = {
    npm_config_build_from_source: "true",
    // Node's headers from Debian; node-gyp would fetch them from the internet.
    ...(existsSync("/usr/include/node/node_api.h") ? { npm_config_nodedir: "/usr" } : {}),
  };
  const args = ["install", "--no-audit", "--no-fund", "--prefix"];
  await once(folder, async (draft) => void await npm([...args, draft, spec], { env }));
  return folder;
}

/** A running peer. One owner; it ends when it is closed. */
export class Peer {
  readonly name: PeerName;
  readonly #child: ChildProcess;
  readonly #lines: Interface;
  #waiter: ((line: string) => void) | null = null;

  /** Starts it on the one processor `core`. */
  constructor(program: Program, core: number) {
    this.name = program.name;
    const [command, ...args] = ["taskset", "-c", String(core), ...program.command];
    this.#child = spawn(command, args, {
      env: { ...process.env, ...program.env },
      stdio: ["pipe", "pipe", "inherit"],
    });
    this.#child.stdin!.on("error", () => {});
    this.#lines = createInterface({ input: this.#child.stdout! });
    this.#lines.on("line", (line) => this.#waiter?.(line));
    this.#child.on("close", () => this.#waiter?.("! the program ended"));
    this.#child.on("error", (error) => this.#waiter?.(`! ${error.message}`));
  }

  /** Asks for one measure and waits for the numbers. */
  measure(request: string, ms: number): Promise<number[]> {
    const { promise, resolve, reject } = Promise.withResolvers<number[]>();
    this.#waiter = (line) => {
      this.#waiter = null;
      if (line.startsWith("!")) reject(new Error(`${this.name}, ${request}: ${line.slice(2)}`));
      else resolve(line.split(" ").map(Number));
    };
    this.#child.stdin!.write(`${request} ${ms}\n`);
    return promise;
  }

  /** Ends it and waits until it is gone. */
  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#child.once("close", () => resolve());
    this.#child.stdin!.end();
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), 5000);
    await promise;
    clearTimeout(timer);
  }
}

/** The versions of everything that is measured. */
export async function versions(): Promise<string[]> {
  const first = async (command: string, args: string[]): Promise<string> => {
    const { stdout } = await run(command, args).catch(() => ({ stdout: "" }));
    return stdout.split("\n")[0];
  };
  return [
    await first("krb5-config", ["--version"]),
    await first("gcc", ["--version"]),
    `Deno ${Deno.version.deno}`,
    `Node ${(await ensureNode(NODE).then((node) => first(node, ["--version"]), () => "")).slice(1)}`,
    `npm ${NPM_KERBEROS.replace("@", " ")}`,
  ];
}
