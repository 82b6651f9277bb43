/**
 * What `doctor` finds out about Kerberos on systems with GSS-API: configuration, servers and clock, tickets and keys.
 *
 * @module
 */

import { resolveSrv } from "node:dns/promises";
import { enctypeName, isWeak } from "./enctypes.ts";
import type { KerberosFacts, KeytabFacts } from "../../ffi/security/gss/inspect.ts";
import type { Io } from "../io.ts";
import { askKdc } from "./kdc.ts";
import type { Finding } from "./report.ts";

/** The end that a program is to be; left out: either. */
export type Role = "client" | "server" | undefined;

/** Kerberos' own limit where krb5.conf has none, in seconds. */
const CLOCK_SKEW_S = 300;
/** A difference of the clocks that is worth a look, in seconds. */
const NOTABLE_SKEW_S = 60;
const KDC_PORT = 88;
/** How long a server may take to answer. */
const ANSWER_MS = 3_000;
const MINUTE_MS = 60_000;

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

/** The findings about the user's tickets and the two key tables. */
export function credentialFindings(facts: KerberosFacts, role: Role, now = new Date()): Finding[] {
  const client = [ticketFinding(facts, now), clientKeytabFinding(facts.clientKeytab)];
  const server = [keytabFinding(facts.keytab)];
  const usable = (findings: readonly Finding[]): boolean =>
    findings.some(({ verdict, facts }) => verdict === "ok" && !facts?.unused);
  // What only the other end needs is worth a warning.
  const clientMissing = role === "client" || role === undefined && !usable(server) ? "fail" : "warn";
  const serverMissing = role === "server" || role === undefined && !usable(client) ? "fail" : "warn";
  const missing = (findings: readonly Finding[], verdict: "fail" | "warn"): Finding[] =>
    findings.map((finding) =>
      finding.verdict === "fail" && (usable(findings) || verdict === "warn")
        ? { ...finding, verdict: "warn" }
        : finding
    );
  return [
    ...(role === "server" ? [] : missing(client, clientMissing)),
    ...(role === "client" ? [] : missing(server, serverMissing)),
  ];
}

function ticketFinding({ cache, realm }: KerberosFacts, now: Date): Finding {
  const { name, owner, tickets, problem } = cache;
  const check = "tickets";
  const kinit = `kinit ${owner ?? (realm === undefined ? "USER@REALM" : `USER@${realm}`)}`;
  const all = {
    cache: name,
    owner: owner ?? null,
    tickets: tickets.map((ticket) => ({ ...ticket, enctype: enctypeName(ticket.enctype) })),
  };
  const granting = tickets.filter(({ server }) => server.startsWith("krbtgt/"));
  const used = (granting.length > 0 ? granting : tickets).toSorted((a, b) => +b.expiresAt - +a.expiresAt)[0];
  if (problem !== undefined || used === undefined) {
    const why = problem?.replace(/^\w+ failed with [^:]*: /, "") ?? "it holds no ticket";
    return {
      check,
      verdict: "fail",
      text: `none in ${name}: ${why}`,
      advice: `${kinit}; a server needs none`,
      facts: all,
    };
  }
  const { server, enctype, expiresAt, validFrom, forwardable } = used;
  const what = `${owner} has ${server} in ${name}`;
  if (expiresAt <= now) {
    return {
      check,
      verdict: "fail",
      text: `${what}: it expired at ${expiresAt.toISOString()}`,
      advice: kinit,
      facts: all,
    };
  }
  if (+validFrom > +now + MINUTE_MS) {
    return {
      check,
      verdict: "fail",
      text: `${what}: it is valid from ${validFrom.toISOString()} on only`,
      advice: "set this machine's clock",
      facts: all,
    };
  }
  const details = [
    `until ${expiresAt.toISOString()}`,
    enctypeName(enctype),
    forwardable ? "forwardable" : "not forwardable",
    ...(tickets.length === 1 ? [] : [`${tickets.length} tickets`]),
  ];
  const weak = isWeak(enctype);
  return {
    check,
    verdict: weak ? "warn" : "ok",
    text: `${what}: ${details.join(", ")}`,
    ...(weak ? { advice: "give the account and the KDC keys for AES" } : {}),
    facts: all,
  };
}

function keytabFinding(keytab: KeytabFacts): Finding {
  const { name, keys, problem } = keytab;
  const check = "key table";
  const path = name.replace(/^\w+:/, "");
  if (problem !== undefined || keys.length === 0) {
    const why = problem?.replace(/^\w+ failed with [^:]*: /, "") ?? `${name} holds no key`;
    return {
      check,
      verdict: "fail",
      text: why,
      advice: /permission denied/i.test(why)
        ? `let this account read ${path}, or name another key table in KRB5_KTNAME`
        : `for a server: kadmin -q "ktadd -k ${path} HTTP/HOST" (Active Directory: adcli or ktpass), or name ` +
          "another key table in KRB5_KTNAME; a client needs none",
      facts: { keytab: name, keys: [] },
    };
  }
  const principals = [...new Set(keys.map(({ principal }) => principal))];
  const rows = principals.map((principal) => {
    const own = keys.filter((key) => key.principal === principal);
    const kvnos = [...new Set(own.map(({ kvno }) => kvno))];
    return `${principal} (kvno ${kvnos.join(", ")}; ${
      [...new Set(own.map(({ enctype }) => enctypeName(enctype)))].join(", ")
    })`;
  });
  const weak = principals.filter((principal) =>
    keys.every((key) => key.principal !== principal || isWeak(key.enctype))
  );
  return {
    check,
    verdict: weak.length > 0 ? "warn" : "ok",
    text: [name, ...rows].join("\n"),
    ...(weak.length > 0 ? { advice: `make AES keys for ${weak.join(", ")}` } : {}),
    facts: { keytab: name, keys: keys.map((key) => ({ ...key, enctype: enctypeName(key.enctype) })) },
  };
}

/** libkrb5 gets a ticket from this table by itself where the cache has none: worth knowing, and needed by nobody. */
function clientKeytabFinding({ name, keys }: KeytabFacts): Finding {
  const check = "client keys";
  const [first] = keys;
  return first === undefined
    ? { check, verdict: "ok", text: `none (${name})`, facts: { keytab: name, keys: [], unused: true } }
    : {
      check,
      verdict: "ok",
      text: `${name} logs ${first.principal} in where there is no ticket`,
      facts: { keytab: name, keys: keys.map((key) => ({ ...key, enctype: enctypeName(key.enctype) })) },
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
