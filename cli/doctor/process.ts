/**
 * What `doctor` finds out about this process: versions, libraries, permissions, policy and providers.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { arch, release } from "node:os";
import { dirname } from "node:path";
import process from "node:process";
import type { Capabilities, System } from "../../mod.ts";
import { createRegistry, kerberos, negotiate, ntlm } from "../../mod.ts";
import { GSSAPI } from "../../ffi/raw/gssapi.ts";
import { nativeSystem } from "../../ffi/system.ts";
import { machinePolicyFindings } from "../../plugins/registry.ts";
import type { Io } from "../io.ts";
import { VERSION } from "../help.ts";
import type { Finding } from "./report.ts";

/** The findings about versions, libraries and permissions. */
export function processFindings(system: System, capabilities: Capabilities, io: Io): Finding[] {
  const { os, runtime, securityContexts } = capabilities;
  const { deno, bun, node } = process.versions;
  const version = deno ? `Deno ${deno}` : bun ? `Bun ${bun}` : `Node ${node}`;
  const osRelease = io.permits("sys", "osRelease") ? ` ${release()}` : "";
  const findings: Finding[] = [{
    check: "versions",
    verdict: "ok",
    text: `secure-sockets ${VERSION}, ${version}, ${os}${osRelease}, ${arch()}`,
    facts: {
      version: VERSION,
      runtime,
      runtimeVersion: deno ?? bun ?? node,
      os,
      release: osRelease.trim() || null,
      arch: arch(),
    },
  }];
  if (runtime === "node") findings.push(koffiFinding());
  if (securityContexts.available) findings.push(libraryFinding(system, os, io));
  else {
    findings.push({
      check: librariesName(capabilities),
      verdict: "fail",
      text: securityContexts.reason,
      facts: { available: false },
    });
  }
  const flags = system.permissions[runtime];
  const flag = runtime === "node" ? `${flags} (only with --permission)` : flags;
  findings.push({
    check: "permissions",
    verdict: securityContexts.available ? "ok" : "unknown",
    text: `connect() and listen() need ${flag}${runtime === "deno" ? " and --allow-net" : ""}`,
    facts: { flags },
  });
  return findings;
}

function librariesName({ os }: Capabilities): string {
  return os === "windows" ? "SSPI" : "GSS-API";
}

function koffiFinding(): Finding {
  try {
    const { version } = createRequire(import.meta.url)("koffi") as { version: string };
    return { check: "koffi", verdict: "ok", text: version, facts: { version } };
  } catch (error) {
    return {
      check: "koffi",
      verdict: "unknown",
      text: `its version cannot be read: ${(error as Error).message.split("\n")[0]}`,
      facts: { version: null },
    };
  }
}

function libraryFinding(system: System, os: string, io: Io): Finding {
  if (os === "windows") {
    return { check: "SSPI", verdict: "ok", text: "secur32.dll", facts: { path: "secur32.dll" } };
  }
  const { path } = nativeSystem(system).library("sspi", GSSAPI);
  const version = mitVersion(path, io);
  return {
    check: "GSS-API",
    verdict: "ok",
    text: `${path}, ${version === null ? "version unknown" : `MIT Kerberos ${version}`}`,
    facts: { path, version },
  };
}

/** The version that libkrb5, beside libgssapi, is built with; `null` where the file cannot be read. */
function mitVersion(gssapi: string, io: Io): string | null {
  const folder = dirname(gssapi);
  for (const file of [`${folder}/libkrb5.so.3`, `${folder}/libkrb5.3.3.dylib`]) {
    if (!io.permits("read", file)) continue;
    try {
      return /KRB5_BRAND: krb5-\S+ (\S+)/.exec(readFileSync(file, "latin1"))?.[1] ?? null;
    } catch {
      // The other system's file.
    }
  }
  return null;
}

/** The findings about the machine's policy, the providers and NTLM. */
export function providerFindings(capabilities: Capabilities, nativeNtlm: boolean | null): Finding[] {
  const { machinePolicy, securityContexts } = capabilities;
  const { state, path } = machinePolicy;
  const reason = "reason" in machinePolicy ? `: ${machinePolicy.reason}` : "";
  const findings: Finding[] = [{
    check: "policy",
    verdict: state === "unreadable" ? "fail" : state === "unread" ? "unknown" : "ok",
    text: `${path} is ${state}${reason}`,
    ...(state === "unreadable" ? { advice: "have an administrator make it readable" } : {}),
    facts: { path, state },
  }];
  const providers = [negotiate(), kerberos()];
  try {
    for (const problem of machinePolicyFindings(machinePolicy, providers)) {
      // A name in deny that is misspelt denies nothing.
      findings.push({ check: "policy", verdict: "fail", text: problem });
    }
  } catch {
    // What stops every selection is reported for each provider below.
  }
  for (const provider of [...providers, ntlm()]) {
    const { name } = provider;
    // NTLM cannot authenticate the server, so that it serves only who requires no such thing.
    const requirements = name === "ntlm" ? { mutualAuthentication: false } : {};
    try {
      createRegistry([provider]).select(requirements, capabilities);
      const more = name === "ntlm" ? " where mutualAuthentication: false is required of it" : "";
      findings.push({ check: name, verdict: "ok", text: `can be used${more}`, facts: { available: true } });
    } catch (error) {
      const verdict = name === "ntlm" ? "ok" : "fail";
      const { message } = error as Error;
      const text = "reason" in securityContexts && message === securityContexts.reason
        ? `cannot be used without ${librariesName(capabilities)}`
        : `cannot be used: ${message}`;
      findings.push({ check: name, verdict, text, facts: { available: false } });
    }
  }
  if (nativeNtlm !== null) {
    findings.push({
      check: "gss-ntlmssp",
      verdict: "ok",
      text: nativeNtlm
        ? "installed, for negotiate({ allowNtlm: true })"
        : "not installed; negotiate({ allowNtlm: true }) needs it",
      facts: { installed: nativeNtlm },
    });
  }
  return findings;
}
