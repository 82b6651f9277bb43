/** A project such as a user of the package has: the tarball installed from the outside, and nothing of the sources. */

import { ensureNode } from "../../scripts/node.ts";
import { basename, delimiter, dirname } from "node:path";
import { mustRun, npm, run, type RunResult } from "../../scripts/process.ts";

/** Programs that only someone who compiles would call. */
const COMPILERS = ["cc", "gcc", "g++", "c++", "clang", "make", "cmake", "ninja", "python3", "node-gyp"];

/** The package's name. */
export const PACKAGE = "@winsock/secure-sockets";

/** Why no package can be tested, or null; `deno task test:npm` builds one and names it. */
export const skip: string | null = Deno.env.get("SECURE_SOCKETS_TARBALL")
  ? null
  : "there is no tarball: run deno task test:npm";

/** The built tarball's path. */
export function tarball(): string {
  return Deno.env.get("SECURE_SOCKETS_TARBALL")!;
}

/** Runs tar on the tarball and returns its output. From its folder: GNU's tar reads C: as the name of a host. */
export async function tar(options: string, ...files: string[]): Promise<string> {
  const cwd = dirname(tarball());
  return (await mustRun("tar", [options, basename(tarball()), ...files], { cwd })).stdout;
}

/** A project in a temporary folder. */
export interface Consumer extends AsyncDisposable {
  /** Its folder. */
  readonly folder: string;
  /** The folder of the installed package. */
  readonly installed: string;
  /** The compilers and the like that were called while it was installed. */
  readonly compilersCalled: string[];
  /** Writes a file of the project. */
  write(name: string, text: string): Promise<void>;
  /** Runs a supported Node in the project's folder. */
  node(major: number, ...args: string[]): Promise<RunResult>;
}

/** A program that notes that it was called, and fails. */
async function noteCalls(path: string, name: string, calls: string): Promise<void> {
  if (Deno.build.os === "windows") {
    await Deno.writeTextFile(`${path}.cmd`, `@echo ${name}>>"${calls}"\r\n@exit /b 1\r\n`);
  } else {
    await Deno.writeTextFile(path, `#!/bin/sh\necho ${name} >>"${calls}"\nexit 1\n`, { mode: 0o755 });
  }
}

/** Makes a project and installs the tarball, and what else is named; install scripts run only where allowed. */
export async function makeConsumer(
  packages: readonly string[] = [],
  { scripts = false }: { scripts?: boolean } = {},
): Promise<Consumer> {
  const folder = await Deno.makeTempDir({ prefix: "secure-sockets-consumer-" });
  const project = `${folder}/project`;
  await Deno.mkdir(project);
  await Deno.writeTextFile(`${project}/package.json`, '{ "private": true, "type": "module" }\n');
  const calls = `${folder}/called`;
  await Deno.mkdir(`${folder}/bin`);
  for (const name of COMPILERS) await noteCalls(`${folder}/bin/${name}`, name, calls);
  const args = ["install", `--ignore-scripts=${!scripts}`, "--no-audit", "--no-fund", "--prefer-offline"];
  await npm([...args, tarball(), ...packages], {
    cwd: project,
    timeoutMs: 300_000,
    env: { PATH: `${folder}/bin${delimiter}${Deno.env.get("PATH")}` },
  });
  const called = await Deno.readTextFile(calls).catch(() => "");
  return {
    folder: project,
    installed: `${project}/node_modules/${PACKAGE}`,
    compilersCalled: called.split(/\r?\n/).filter(Boolean),
    write: (name, text) => Deno.writeTextFile(`${project}/${name}`, text),
    node: async (major, ...args) =>
      await run(await ensureNode(major), args, { cwd: project, timeoutMs: 60_000 }),
    [Symbol.asyncDispose]: () => Deno.remove(folder, { recursive: true }),
  };
}
