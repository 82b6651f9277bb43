/**
 * What `doctor` finds out about Kerberos on systems with GSS-API: configuration, servers and clock,
 * replay cache.
 *
 * @module
 */

import { resolveSrv } from "node:dns/promises";
import type { KerberosFacts } from "../../ffi/security/gss/inspect.ts";
import type { Io } from "../io.ts";
import { askKdc } from "./kdc.ts";
import type { Finding } from "./report.ts";

/** Kerberos' own limit where krb5.conf has none, in seconds. */
const CLOCK_SKEW_S = 300;
/** A difference of the clocks that is worth a look, in seconds. */
const NOTABLE_SKEW_S = 60;
const KDC_PORT = 88;
/** How long a server may take to answer. */
const ANSWER_MS = 3_000;

/** The findings about krb5.conf and the default realm. */
export function configurationFindings({ configuration, realm }: KerberosFacts): Finding[] {
  const { found, looked } = configuration;
  const [first = "/etc/krb5.conf"] = looked;
  return [
    found.length > 0
      ? { check: "krb5.conf", verdict: "ok", text: found.join(", "), facts: { files: found } }
      : {
        check: "krb5.conf",
        verdict: "warn",
        text: `this process can read no ${looked.join(" and no ")}`,
        advice: `write ${first}, or name another file in KRB5_CONFIG`,
        facts: { files: [], looked },
      },
    realm !== undefined ? { check: "realm", verdict: "ok", text: realm, facts: { realm } } : {
      check: "realm",
      verdict: "fail",
      text: "there is no default realm",
      advice: `set default_realm in [libdefaults] of ${found[0] ?? first}`,
      facts: { realm: null },
    },
  ];
}

/** Asks the Kerberos servers of the default realm, and compares their clock with this one. */
export async function serverFindings(facts: KerberosFacts, realm: string, io: Io): Promise<Finding[]> {
  const configured = facts.setting(["realms", realm, "kdc"]);
  const lookup = !/^(false|no|off|0|n|f)$/i.test(facts.setting(["libdefaults", "dns_lookup_kdc"])[0] ?? "");
  const limit = Number.parseInt(facts.setting(["libdefaults", "clockskew"])[0] ?? "", 10) || CLOCK_SKEW_S;
  return await askServers(realm, configured.map(parseServer), lookup, limit, io);
}

/** One Kerberos server. */
export interface Server {
  readonly hostname: string;
  readonly port: number;
  /** Why it is not asked. */
  readonly unasked?: string;
}

/** Reads a `kdc` of krb5.conf: `host`, `host:port`, `[address]:port`, `tcp/host`, or the URL of a proxy. */
export function parseServer(value: string): Server {
  if (/^https?:/i.test(value)) {
    return { hostname: value, port: 0, unasked: "it is a proxy (MS-KKDCP), which doctor does not ask" };
  }
  const address = value.replace(/^(?:tcp|udp)\//i, "");
  // More than one colon outside brackets: an IPv6 address without a port.
  const [, host, port] = /^(\[[^\]]+\]|[^:[\]]+)(?::(\d+))?$/.exec(address) ??
    [undefined, address, undefined];
  return { hostname: host.replace(/^\[|\]$/g, ""), port: port === undefined ? KDC_PORT : Number(port) };
}

/** Asks these servers, or those that DNS names. */
export async function askServers(
  realm: string,
  configured: readonly Server[],
  lookup: boolean,
  limitS: number,
  io: Io,
): Promise<Finding[]> {
  const check = "KDC";
  if (!io.permits("net")) {
    return [{
      check,
      verdict: "unknown",
      text: "this process may not use the network",
      advice: "run with --allow-net",
    }];
  }
  const servers = configured.length > 0 || !lookup ? configured : await byDns(realm, io);
  if (servers.length === 0) {
    return [{
      check,
      verdict: "fail",
      text: lookup
        ? `neither krb5.conf nor DNS names a Kerberos server of ${realm}`
        : `krb5.conf names no kdc of ${realm}, and dns_lookup_kdc is off`,
      advice:
        `name it as kdc of ${realm} in [realms] of krb5.conf, or publish _kerberos._tcp.${realm.toLowerCase()}`,
      facts: { realm, servers: [] },
    }];
  }
  const findings: Finding[] = [];
  let answered = false;
  for (const { hostname, port, unasked } of servers) {
    const address = port === 0 ? hostname : `${hostname}:${port}`;
    if (unasked !== undefined) {
      findings.push({ check, verdict: "unknown", text: `${address}: ${unasked}` });
      continue;
    }
    const timeout = AbortSignal.timeout(ANSWER_MS);
    const before = Date.now();
    try {
      const asked = askKdc(hostname, port, realm, AbortSignal.any([timeout, io.signal]));
      const { time } = await io.waiting(`asking ${address}`, asked);
      const tookMs = Date.now() - before;
      findings.push({
        check,
        verdict: "ok",
        text: `${address} answered in ${tookMs} ms`,
        facts: { realm, hostname, port, tookMs },
      });
      if (!answered && time) findings.push(clock(time.getTime() - (before + tookMs / 2), address, limitS));
      answered = true;
    } catch (error) {
      io.signal.throwIfAborted();
      const why = timeout.aborted ? `no answer within ${ANSWER_MS / 1000} s` : (error as Error).message;
      findings.push({
        check,
        verdict: "warn",
        text: `${address}: ${why}`,
        advice: "check its address, that it runs, and that TCP to this port passes the firewalls",
        facts: { realm, hostname, port, error: why },
      });
    }
  }
  const onlyUnasked = servers.every(({ unasked }) => unasked !== undefined);
  // Where none answers, each of them is a failure.
  return answered || onlyUnasked
    ? findings
    : findings.map((finding) => finding.verdict === "warn" ? { ...finding, verdict: "fail" } : finding);
}

async function byDns(realm: string, io: Io): Promise<Server[]> {
  const name = `_kerberos._tcp.${realm.toLowerCase()}`;
  const records = await io.waiting(`asking DNS for ${name}`, resolveSrv(name).catch(() => []));
  return records.sort((a, b) => a.priority - b.priority).map(({ name, port }) => ({ hostname: name, port }));
}

function clock(offsetMs: number, address: string, limitS: number): Finding {
  const seconds = Math.round(Math.abs(offsetMs) / 100) / 10;
  const direction = offsetMs > 0 ? "behind" : "ahead of";
  const small = seconds < NOTABLE_SKEW_S;
  return {
    check: "clock",
    verdict: seconds >= limitS ? "fail" : small ? "ok" : "warn",
    text: seconds < 1.5 ? `the same as that of ${address}` : `${seconds} s ${direction} ${address}`,
    ...(small ? {} : { advice: `set the clocks, for instance by NTP: Kerberos allows ${limitS} s` }),
    facts: { offsetMs: Math.round(offsetMs), limitS },
  };
}

/** The finding about the replay cache, which servers use. */
export function replayCacheFinding(facts: KerberosFacts, io: Io): Finding {
  const byEnvironment = io.env("KRB5RCACHENAME");
  const [configured] = facts.setting(["libdefaults", "default_rcache_name"]);
  const type = io.env("KRB5RCACHETYPE");
  const name = byEnvironment ?? configured ?? (type === undefined ? "dfl:" : `${type}:`);
  const none = name.startsWith("none:");
  return {
    check: "replay cache",
    verdict: none ? "warn" : "ok",
    text: none
      ? "off: a server accepts a ticket's proof that it has seen before"
      : name === "dfl:"
      ? "libkrb5's default"
      : name,
    ...(none ? { advice: "remove default_rcache_name from krb5.conf, or KRB5RCACHENAME, on a server" } : {}),
    facts: { name },
  };
}
