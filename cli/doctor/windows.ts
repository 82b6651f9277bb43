/**
 * What `doctor` finds out on Windows: security packages, domain, services of IPsec.
 *
 * @module
 */

import { openSystem, type System } from "../../mod.ts";
import { Sspi } from "../../ffi/security/sspi/sspi.ts";
import { nativeSystem } from "../../ffi/system.ts";
import type { DirectoryOptions } from "../../directory/mod.ts";
import { isServiceRunning } from "../../ffi/windows/services.ts";
import type { Io } from "../io.ts";
import { askServers } from "./kerberos.ts";
import type { Finding } from "./report.ts";

/** The services that IPsec at the socket needs. */
const SERVICES = { BFE: "filtering engine", IKEEXT: "IKE and AuthIP", MpsSvc: "firewall" } as const;
/** The packages that the library uses. */
const PACKAGES = ["Negotiate", "Kerberos", "NTLM"];
/** Windows' own limit for the difference of clocks, in seconds. */
const CLOCK_SKEW_S = 300;

/** The findings on Windows. */
export async function windowsFindings(system: System, io: Io): Promise<Finding[]> {
  return [...packageFindings(system), ...await domainFindings(io), ...serviceFindings()];
}

function packageFindings(system: System): Finding[] {
  const check = "packages";
  try {
    const names = new Sspi(nativeSystem(system)).packages().map(({ name }) => name);
    const missing = PACKAGES.filter((name) => !names.includes(name));
    return [{
      check,
      verdict: missing.length > 0 ? "fail" : "ok",
      text: missing.length > 0
        ? `${missing.join(", ")} missing; there are ${names.join(", ")}`
        : names.join(", "),
      facts: { packages: names },
    }];
  } catch (error) {
    return [{ check, verdict: "fail", text: (error as Error).message }];
  }
}

async function domainFindings(io: Io): Promise<Finding[]> {
  const [user, domain, dns] = ["USERNAME", "USERDOMAIN", "USERDNSDOMAIN"].map((name) => io.env(name));
  const account = user === undefined ? "unknown" : domain === undefined ? user : `${domain}\\${user}`;
  if (dns === undefined) {
    return [{
      check: "domain",
      verdict: "warn",
      text: `${account} is not logged on to a domain, as far as USERDNSDOMAIN shows`,
      advice: "Kerberos needs a domain account; NTLM works without",
      facts: { account, domain: null },
    }];
  }
  const found: Finding = {
    check: "domain",
    verdict: "ok",
    text: `${account} of ${dns}`,
    facts: { account, domain: dns },
  };
  return [
    found,
    ...await askServers(dns.toUpperCase(), [], true, CLOCK_SKEW_S, io),
    await spnFinding({ domain: dns }, account, io),
  ];
}

/** The SPNs of an account, which decide what a server that runs as it can be. */
export async function spnFinding(
  options: Omit<DirectoryOptions, "signal">,
  account: string,
  io: Io,
): Promise<Finding> {
  const check = "SPNs";
  try {
    const { listSpns, openDirectory } = await import("../../directory/mod.ts");
    const opening = openDirectory({ ...options, signal: io.signal });
    await using directory = await io.waiting("asking the directory", opening);
    const spns = (await listSpns(directory, account, { signal: io.signal })).spns.map(({ text }) => text);
    return {
      check,
      verdict: "ok",
      text: `${account} has ${spns.join(", ") || "none: a server that runs as it cannot be named"}`,
      facts: { account, spns },
    };
  } catch (error) {
    io.signal.throwIfAborted();
    return {
      check,
      verdict: "unknown",
      text: `those of ${account}: ${(error as Error).message}`,
      advice: `setspn -L ${account}`,
      facts: { account, spns: null },
    };
  }
}

function serviceFindings(): Finding[] {
  try {
    using system = openSystem({ grants: ["impersonation"] });
    const native = nativeSystem(system);
    return Object.entries(SERVICES).map(([name, what]): Finding => {
      const running = isServiceRunning(native, name);
      return {
        check: `service ${name}`,
        verdict: running === null ? "unknown" : running ? "ok" : "warn",
        text: `${what}: ${running === null ? "its state cannot be read" : running ? "running" : "stopped"}`,
        ...(running === false ? { advice: `ipsec() needs it: sc start ${name}` } : {}),
        facts: { service: name, running },
      };
    });
  } catch (error) {
    return [{ check: "services", verdict: "unknown", text: (error as Error).message }];
  }
}
