/**
 * The first process of a fresh machine's namespaces, started by `fresh_machine.ts`: mounts the system, runs the
 * commands of the pages in it, and prints what came of each.
 *
 * @module
 */

import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync } from "node:fs";
import { symlinkSync, writeFileSync } from "node:fs";
import { endWithParent } from "../tests/rig/windows/namespace.ts";
import { progress } from "../tests/rig/windows/progress.ts";
import { type FreshJob, type Step, stepsOf } from "./fresh_machine_job.ts";
import { mustRun, run, type RunResult } from "./process.ts";
import { printsAsShown, shellBlocks } from "./shell_blocks.ts";

const LIMIT_MS = 15 * 60_000, SUITE_LIMIT_MS = 90 * 60_000;
/** Where files are that this machine's variables name. */
const HOST_FILES = "/usr/local/share/host";

/** The system, and how an account runs a command in it. */
interface Machine {
  readonly root: string;
  readonly home: string;
  shell(text: string, folder: string, timeoutMs?: number): Promise<RunResult>;
}

/** Mounts the cached system with a layer in memory over it. */
async function mountSystem({ debian, mountPoint: at }: FreshJob): Promise<string> {
  await mustRun("mount", ["-t", "tmpfs", "-o", "size=75%", "tmpfs", at]);
  for (const name of ["upper", "work", "root"]) mkdirSync(`${at}/${name}`);
  chmodSync(`${at}/upper`, 0o755);
  const root = `${at}/root`;
  const layers = `lowerdir=${debian},upperdir=${at}/upper,workdir=${at}/work`;
  await mustRun("mount", ["-t", "overlay", "overlay", "-o", layers, root]);
  await mustRun("mount", ["-t", "proc", "proc", `${root}/proc`]);
  await mustRun("mount", ["--bind", "/dev", `${root}/dev`]);
  await mustRun("mount", ["-t", "tmpfs", "tmpfs", `${root}/dev/shm`]);
  // debootstrap copies these from this machine, or leaves them to the network's set-up.
  for (const file of ["/etc/resolv.conf", "/etc/hosts"]) {
    if (existsSync(file)) writeFileSync(root + file, readFileSync(file));
  }
  return root;
}

async function prepare(job: FreshJob): Promise<Machine> {
  const root = await mountSystem(job);
  copyFileSync(job.node, `${root}/usr/local/bin/node`);
  cpSync(job.npm, `${root}/usr/local/lib/node_modules/npm`, { recursive: true });
  chmodSync(`${root}/usr/local/lib/node_modules/npm`, 0o755);
  for (const name of ["npm", "npx"]) {
    symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, `${root}/usr/local/bin/${name}`);
    chmodSync(`${root}/usr/local/lib/node_modules/npm/bin/${name}-cli.js`, 0o755);
  }
  const user = job.account === "user";
  const home = user ? "/home/newcomer" : "/root";
  if (user) await mustRun("chroot", [root, "useradd", "--create-home", "--shell", "/bin/bash", "newcomer"]);
  const env: Record<string, string> = {
    HOME: home,
    USER: user ? "newcomer" : "root",
    SHELL: "/bin/bash",
    LANG: "C.UTF-8",
    NO_COLOR: "1",
    // Else npm leaves a folder in /tmp.
    NODE_DISABLE_COMPILE_CACHE: "1",
    PATH: `${home}/.local/bin:${home}/my-project/node_modules/.bin:` +
      "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
  };
  mkdirSync(root + HOST_FILES, { recursive: true });
  for (const [name, value] of Object.entries(job.env)) {
    env[name] = value;
    if (!existsSync(value)) continue;
    env[name] = `${HOST_FILES}/${name}`;
    copyFileSync(value, root + env[name]);
  }
  if (env.NODE_EXTRA_CA_CERTS) env.npm_config_cafile = env.NODE_EXTRA_CA_CERTS;
  const clone = `${home}/secure-sockets`, project = `${home}/my-project`;
  cpSync(job.clone, root + clone, { recursive: true });
  mkdirSync(root + project);
  if (user) await mustRun("chroot", [root, "chown", "-R", "newcomer:newcomer", home]);
  const shell = (text: string, folder: string, timeoutMs = LIMIT_MS): Promise<RunResult> => {
    const lowered = job.account === "container"
      ? ["setpriv", "--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]
      : [];
    const as = user ? ["--userspec=newcomer:newcomer"] : [];
    const [program, ...args] = [...lowered, "chroot", ...as, root, "bash", "-c", `cd ${folder} && ${text}`];
    return run(program, args, { env, clearEnv: true, timeoutMs });
  };
  if (user && job.pages.length > 1) {
    // The library that README.md asks for; a Kerberos server the account cannot have.
    const get = "apt-get update && apt-get install -y --no-install-recommends libgssapi-krb5-2";
    await mustRun("chroot", [root, "sh", "-c", get], { env, clearEnv: true });
  }
  const set = await shell(
    `npm install --global --silent --prefix "$HOME/.local" deno@${job.deno} && cd ${project} && npm init -y >/dev/null`,
    home,
  );
  if (set.code !== 0) throw new Error(`Deno cannot be installed from npm: ${set.stdout}${set.stderr}`);
  return { root, home, shell };
}

async function runStep(machine: Machine, step: Step): Promise<string | null> {
  const limit = /^deno task (test|ok)/.test(step.text) ? SUITE_LIMIT_MS : LIMIT_MS;
  const { code, stdout, stderr } = await machine.shell(step.text, `${machine.home}/${step.folder}`, limit);
  const output = `${stdout}${stderr}`.trimEnd().split("\n").slice(-25).map((line) => `    | ${line}`).join(
    "\n",
  );
  if (step.status !== null && code !== step.status) {
    return `ended with ${code}, not ${step.status}\n${output}`;
  }
  // deno.json declines koffi's script, which nothing needs; the warning would be the first thing that a user reads.
  if (/Ignored build scripts/.test(stderr)) return `printed Deno's warning of build scripts\n${output}`;
  if (step.contains?.test(stdout + stderr) === false) return `did not print ${step.contains}\n${output}`;
  if (step.prints === null || printsAsShown(step.prints, stdout)) return null;
  return `did not print what the page shows\n${output}`;
}

async function main(job: FreshJob): Promise<number> {
  progress(`${job.name}: setting up`);
  const machine = await prepare(job);
  const circumstances = { realm: job.account !== "user", suite: job.suite };
  let passed = 0, failed = 0, skipped = 0;
  for (const page of job.pages) {
    for (const block of shellBlocks(readFileSync(`${job.clone}/${page}`, "utf8"))) {
      for (const step of stepsOf(block, circumstances)) {
        const where = `${job.name}, ${page}:${block.line}: ${step.shown}`;
        const problem = step.skip === null ? await runStep(machine, step) : null;
        if (step.skip !== null) skipped++;
        else if (problem === null) passed++;
        else failed++;
        progress(
          `${step.skip !== null ? `not run (${step.skip})` : problem === null ? "ok" : "FAILED"} ${where}`,
        );
        if (problem !== null) console.log(`  It ${problem}`);
      }
    }
  }
  const left = readdirSync(`${machine.root}/tmp`);
  if (left.length > 0) {
    failed++;
    console.log(`FAILED ${job.name}: the commands left ${left.join(", ")} in /tmp`);
  }
  progress(`${job.name}: ${passed} commands as the pages say, ${failed} not, ${skipped} not run`);
  return failed === 0 && passed > 0 ? 0 : 1;
}

if (import.meta.main) {
  endWithParent();
  try {
    Deno.exit(await main(JSON.parse(Deno.args[0])));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    Deno.exit(1);
  }
}
