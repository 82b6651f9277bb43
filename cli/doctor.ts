/**
 * `doctor [SPN|URL]`: what this machine and process can do, what is missing, and what to do about it.
 *
 * @module
 */

import type { System } from "../mod.ts";
import type { KerberosFacts } from "../ffi/security/gss/inspect.ts";
import { defineCommand, JSON_OPTION } from "./command.ts";
import type { Role } from "./doctor/credentials.ts";
import { type Finding, line, type Verdict } from "./doctor/report.ts";
import type { Io } from "./io.ts";

/** The ends that a program can be. */
const ROLES = ["client", "server"] as const;

/** The command. */
export const command = defineCommand({
  usage: "[SPN|URL]",
  operands: [0, 1],
  description:
    `Checks versions, libraries, permissions, policy, and Kerberos: configuration, servers and clock, tickets and
keys. With an SPN it gets a ticket, and where this machine has the service's key, opens it; with a URL it
answers the server's 401. A ticket is for a client, a key table for a server: without --role, one of
them is sufficient.`,
  options: {
    role: {
      type: "string",
      choices: ROLES,
      help: "what the program is to be: what that end needs must be there",
    },
    json: JSON_OPTION,
  },
  examples: [
    { line: "doctor", text: "what is there, and what is missing" },
    { line: "doctor HTTP/web.example.test", text: "whether a client gets a ticket for this service" },
    { line: "doctor https://web.example.test/", text: "whether the server accepts it" },
    {
      line: "doctor --role server --json",
      text: "for a start-up check: exit status 1 where a server lacks something",
    },
  ],
  async run({ options, operands }, io) {
    const findings: Finding[] = [];
    const print = async (...found: Finding[]): Promise<void> => {
      findings.push(...found);
      if (!options.json) { for (const finding of found) await io.print(line(io, finding)); }
    };
    await examine(options.role as Role, operands[0], io, print);
    const worst = (["fail", "warn"] as const).find((verdict) =>
      findings.some((found) => found.verdict === verdict)
    ) ?? "ok";
    if (options.json) await io.json({ verdict: worst, findings });
    else await io.print(`\n${summary(findings, worst)}`);
    return worst === "fail" ? 1 : 0;
  },
});

/** Prints each finding as soon as it is there. */
async function examine(
  role: Role,
  target: string | undefined,
  io: Io,
  print: (...found: Finding[]) => Promise<void>,
): Promise<void> {
  const { readTarget, targetFindings } = await import("./doctor/target.ts");
  const { processFindings, providerFindings } = await import("./doctor/process.ts");
  const { openSystem } = await import("../mod.ts");
  const tried = target === undefined ? null : readTarget(target);
  using system = openSystem({ grants: ["sspi"] });
  const capabilities = system.capabilities();
  await print(...processFindings(system, capabilities, io));
  const available = capabilities.securityContexts.available;
  const kerberos = available && capabilities.os !== "windows" ? await readKerberos(system, print) : null;
  await print(...providerFindings(capabilities, kerberos?.ntlm ?? null));
  if (capabilities.os === "windows" && available) {
    const { windowsFindings } = await import("./doctor/windows.ts");
    await print(...await windowsFindings(system, io));
  }
  if (kerberos !== null) await kerberosFindings(kerberos, role, io, print);
  if (tried !== null && available) await print(...await targetFindings(tried, system, kerberos, io));
}

async function readKerberos(
  system: System,
  print: (...found: Finding[]) => Promise<void>,
): Promise<KerberosFacts | null> {
  const { inspectKerberos } = await import("../ffi/security/gss/inspect.ts");
  const { nativeSystem } = await import("../ffi/system.ts");
  try {
    return inspectKerberos(nativeSystem(system));
  } catch (error) {
    await print({ check: "krb5.conf", verdict: "fail", text: (error as Error).message });
    return null;
  }
}

async function kerberosFindings(
  kerberos: KerberosFacts,
  role: Role,
  io: Io,
  print: (...found: Finding[]) => Promise<void>,
): Promise<void> {
  const { credentialFindings } = await import("./doctor/credentials.ts");
  const { configurationFindings, replayCacheFinding, serverFindings } = await import("./doctor/kerberos.ts");
  await print(...configurationFindings(kerberos));
  if (kerberos.realm !== undefined) await print(...await serverFindings(kerberos, kerberos.realm, io));
  await print(...credentialFindings(kerberos, role));
  if (role !== "client") await print(replayCacheFinding(kerberos, io));
}

function summary(findings: readonly Finding[], worst: Verdict): string {
  const count = (verdict: Verdict): number => findings.filter((found) => found.verdict === verdict).length;
  const counts = `${count("ok")} ok, ${count("warn")} to look at, ${count("fail")} failed, ${
    count("unknown")
  } unknown`;
  return worst === "fail" ? `Not ready: ${counts}` : `Ready: ${counts}`;
}
