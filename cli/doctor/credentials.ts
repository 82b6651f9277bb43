/**
 * What `doctor` finds out about tickets and keys, and which of them a program needs.
 *
 * @module
 */

import type { KerberosFacts, KeytabFacts } from "../../ffi/security/gss/inspect.ts";
import { enctypeName, isWeak } from "./report.ts";
import type { Finding } from "./report.ts";

/** The end that a program is to be; left out: either. */
export type Role = "client" | "server" | undefined;

const MINUTE_MS = 60_000;
/** What precedes the library's own text in a problem. */
const FAILURE = /^\w+ failed with [^:]*: /;

/** The findings about the user's tickets and the two key tables. */
export function credentialFindings(facts: KerberosFacts, role: Role, now = new Date()): Finding[] {
  const client = [ticketFinding(facts, now), clientKeytabFinding(facts.clientKeytab)];
  const server = [keytabFinding(facts.keytab)];
  const usable = (findings: readonly Finding[]): boolean =>
    findings.some(({ verdict, facts }) => verdict !== "fail" && !facts?.unused);
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
    const why = problem?.replace(FAILURE, "") ?? "it holds no ticket";
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
    const why = problem?.replace(FAILURE, "") ?? `${name} holds no key`;
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
