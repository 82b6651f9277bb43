/**
 * What a fresh machine is made of, and which commands of the documentation run there, in which way.
 *
 * @module
 */

import type { ShellBlock, ShellCommand } from "./shell_blocks.ts";

/** Who runs the commands: `container` is root without CAP_SYS_ADMIN, as in a container. */
export const ACCOUNTS = ["user", "root", "container"] as const;
/** One of {@linkcode ACCOUNTS}. */
export type Account = typeof ACCOUNTS[number];

/** What the script inside the namespaces is given, as JSON. */
export interface FreshJob {
  /** What its lines begin with. */
  readonly name: string;
  /** The system in the cache; it is only read. */
  readonly debian: string;
  /** An empty folder to mount on. */
  readonly mountPoint: string;
  /** A clone of the repository, to copy. */
  readonly clone: string;
  /** The program `node`. */
  readonly node: string;
  /** The unpacked npm package `npm`. */
  readonly npm: string;
  /** The version of Deno to install. */
  readonly deno: string;
  readonly account: Account;
  /** The pages, as paths in the clone. */
  readonly pages: readonly string[];
  /** Whether the test suite runs too. */
  readonly suite: boolean;
  /** The variables by which the registries are reached. */
  readonly env: Readonly<Record<string, string>>;
}

/** A command of a page, as it is run on the fresh machine. */
export interface Step {
  /** The command as the page shows it. */
  readonly shown: string;
  /** Why it is not run; `null`: it is. */
  readonly skip: string | null;
  /** The folder, below the home folder. */
  readonly folder: "secure-sockets" | "my-project";
  /** What the shell is given. */
  readonly text: string;
  /** The exit status that it must have; `null`: what it prints decides. */
  readonly status: number | null;
  /** What must be in its output. */
  readonly contains: RegExp | null;
  /** What it must print on standard output, as the page shows it; `null` where it shows nothing. */
  readonly prints: string | null;
}

/** What is different from machine to machine. */
export interface Circumstances {
  /** Whether the account can have a Kerberos realm, whose packages only root installs. */
  readonly realm: boolean;
  /** Whether the test suite runs too. */
  readonly suite: boolean;
}

/** Commands that a fresh machine cannot run, with the reason. */
const NOT_RUN: readonly (readonly [RegExp, string])[] = [
  [
    /\bexample\.test\b|\bIMAGE\b|127\.0\.0\.1:3128|\bspn duplicates/,
    "it names what only the reader's network has",
  ],
  [/\bjsr:/, "the package is not published yet"],
  [/\$PROFILE/, "it is for PowerShell"],
  [/\bprovider\.wasm|localhost:8080/, "the module or server is the reader's own"],
];

const REALM = /^deno task realm\b/, OPENS_SHELL = /^deno task realm( --postgres)? *(#|$)/;

/** Says how the commands of a block are run. What follows `deno task realm` is typed into the shell that it opens. */
export function stepsOf({ commands }: ShellBlock, circumstances: Circumstances): Step[] {
  const steps: Step[] = [];
  for (const [at, command] of commands.entries()) {
    const shell = OPENS_SHELL.test(command.text);
    const typed = shell ? commands.slice(at + 1).map(({ text }) => text) : [];
    steps.push(stepOf(command, typed, circumstances));
    if (shell) break;
  }
  return steps;
}

function stepOf(
  { text, prints }: ShellCommand,
  typed: readonly string[],
  circumstances: Circumstances,
): Step {
  const { realm, suite } = circumstances;
  const shown = [text, ...typed].map((line) => line.replace(/ +# .*/, "")).join("; ");
  const step: Step = {
    shown,
    skip: NOT_RUN.find(([pattern]) => pattern.test(shown))?.[1] ?? null,
    folder: /^np[mx] /.test(text) ? "my-project" : "secure-sockets",
    text,
    status: prints === null ? 0 : null,
    contains: null,
    prints,
  };
  if (step.skip !== null) return step;
  if (/^deno task (test|ok)\b/.test(text) && !suite) return { ...step, skip: "--suite runs it" };
  if (!realm && REALM.test(text)) {
    return { ...step, status: 1, contains: /only root can install packages; install .*krb5-kdc/ };
  }
  const opens = OPENS_SHELL.exec(text);
  if (opens !== null) return { ...step, text: inRealm(typed.join("\n"), opens[1]) };
  if (/\bdoctor\b/.test(shown)) {
    return realm
      ? { ...step, text: inRealm(text) }
      : { ...step, status: 1, contains: /^Not ready: /m, prints: null };
  }
  return step;
}

/** The command that runs others in a temporary realm, in the folder it is run in. */
function inRealm(script: string, flag = ""): string {
  const quoted = `'cd "$FOLDER"\n${script.replaceAll("'", String.raw`'\''`)}'`;
  return `FOLDER=$PWD deno task --quiet --cwd "$HOME/secure-sockets" realm${flag} bash -ec ${quoted}`;
}
