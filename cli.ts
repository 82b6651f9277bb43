/**
 * The command line: reports what this machine can do, and which flags a grant needs.
 *
 * ```sh
 * deno run jsr:@winsock/secure-sockets/cli permissions sspi
 * npx @winsock/secure-sockets doctor
 * ```
 *
 * @module
 */

import { type Availability, createRegistry, kerberos, negotiate, openSystem } from "./mod.ts";
import { type Grant, GRANTS, NODE_NET_FLAG, usesNetOnNode } from "./ffi/permissions.ts";
import { machinePolicyFindings } from "./plugins/registry.ts";

const HELP = `secure-sockets: authenticated, encrypted sockets for Deno and Node

Usage:
  secure-sockets doctor               print what this machine and process can do
  secure-sockets permissions GRANT... print the flags that these grants need on this machine
  secure-sockets help                 print this text

Grants: ${GRANTS.join(", ")}

Exit status: 0 no problem found, 1 something is missing or the machine's policy has a finding, 2 the command is wrong.
Output has no colours where NO_COLOR is set or standard output is not a terminal.
`;

/** The parts of Deno and Node that the command line uses. */
interface Runtime {
  Deno?: { args: string[]; exit(code: number): never; noColor: boolean; stdout: { isTerminal(): boolean } };
  process?: {
    argv: string[];
    exitCode?: number;
    env: Record<string, string | undefined>;
    stdout: { isTTY?: boolean };
  };
}

const { Deno: deno, process: node } = globalThis as unknown as Runtime;
const colored = deno
  ? !deno.noColor && deno.stdout.isTerminal()
  : !node!.env.NO_COLOR && node!.stdout.isTTY === true;

function paint(code: number, text: string): string {
  return colored ? `\x1b[${code}m${text}\x1b[0m` : text;
}

function verdict(availability: Availability): string {
  return availability.available ? paint(32, "yes") : `${paint(31, "no")}: ${availability.reason}`;
}

function doctor(): number {
  using system = openSystem({ grants: ["sspi"] });
  const capabilities = system.capabilities();
  const { machinePolicy } = capabilities;
  const policy = "reason" in machinePolicy
    ? `${machinePolicy.state}: ${machinePolicy.reason}`
    : machinePolicy.state;
  console.log(`system            ${capabilities.os}, ${capabilities.runtime}`);
  console.log(`security contexts ${verdict(capabilities.securityContexts)}`);
  console.log(`machine policy    ${policy} (${machinePolicy.path})`);
  const providers = [negotiate(), kerberos()];
  let served = true;
  try {
    for (const finding of machinePolicyFindings(machinePolicy, providers)) {
      served = false;
      console.log(`${"".padEnd(17)} ${paint(33, "finding")}: ${finding}`);
    }
  } catch {
    // An error that stops every selection is printed for each provider below.
    served = false;
  }
  for (const provider of providers) {
    try {
      createRegistry([provider]).select({}, capabilities);
      console.log(`${provider.name.padEnd(17)} ${paint(32, "can serve")}`);
    } catch (error) {
      served = false;
      console.log(`${provider.name.padEnd(17)} ${paint(31, "cannot serve")}: ${(error as Error).message}`);
    }
  }
  return served ? 0 : 1;
}

function permissions(grants: readonly string[]): number {
  if (grants.length === 0) return usage("permissions takes at least one grant");
  const unknown = grants.find((grant) => !(GRANTS as readonly string[]).includes(grant));
  if (unknown !== undefined) {
    return usage(`${JSON.stringify(unknown)} is not a grant; use one of ${GRANTS.join(", ")}`);
  }
  using system = openSystem({ grants: grants as Grant[] });
  const { deno: flag, node: flags } = system.permissions;
  console.log(`Deno: ${flag || "(none)"}`);
  const net = deno && grants.some(usesNetOnNode) ? `; from Node 25 on ${NODE_NET_FLAG} too` : "";
  console.log(`Node: ${flags || "(none)"} (only with --permission${net})`);
  return 0;
}

function usage(problem: string): number {
  console.error(`secure-sockets: ${problem}\n\n${HELP}`);
  return 2;
}

function main([command, ...rest]: readonly string[]): number {
  switch (command) {
    case "doctor":
      return rest.length === 0 ? doctor() : usage("doctor takes no arguments");
    case "permissions":
      return permissions(rest);
    case undefined:
    case "help":
    case "--help":
    case "-h":
      console.log(HELP);
      return 0;
    default:
      return usage(`${JSON.stringify(command)} is not a command`);
  }
}

function run(args: readonly string[]): number {
  try {
    return main(args);
  } catch (error) {
    console.error(`secure-sockets: ${(error as Error).message}`);
    return 1;
  }
}

const status = run(deno ? deno.args : node!.argv.slice(2));
if (deno) deno.exit(status);
else node!.exitCode = status;
