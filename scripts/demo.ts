/**
 * `deno task demo`: the library at work, and at refusing to, against a throw-away Kerberos realm.
 *
 * @module
 */

import {
  type ConnectOptions,
  createRegistry,
  kerberos,
  listen,
  negotiate,
  ntlm,
  openSystem,
  type SecurityInfo,
} from "../mod.ts";
import { showChoice, showProviders } from "./demo/provider_table.ts";
import {
  Failures,
  LIMIT_MS,
  ntlmOffered,
  openConnection,
  type Stage,
  tamperedRecords,
  wrongTargets,
} from "./demo/refusals.ts";
import { Relay } from "./demo/relay.ts";
import { allFine, expect, paint, say, section, show } from "./demo/screen.ts";
import { hexdump, joined, longestPart } from "./demo/wire.ts";
import { ensurePackages } from "./install.ts";
import { type Realm, realmUnavailable, startRealm } from "./realm.ts";

const HELP = `Usage: deno task demo [--no-install] [--help]

Makes a Kerberos realm on loopback, connects a client to a server over TCP through
the library, shows what both know of each other and what the wire shows, and then
tries what must be refused. Everything is gone when it ends.

  --no-install  install nothing; without it the KDC is installed where it is missing
                (as root, on Debian)

NO_COLOR is honoured. Exit status: 0 all went as it should, 1 something did not.`;

const TARGET = "HTTP/localhost";
const SECRET = "Quarterly figures: 4,711 boxes sold, not one came back.";

/** What each end has verified, beside each other. */
function showSecurity(client: SecurityInfo, server: SecurityInfo): void {
  const facts: [string, (info: SecurityInfo) => unknown][] = [
    ["peer", ({ peer }) => peer],
    ["provider", ({ provider, details }) => `${provider} (${details.mechanism})`],
    ["mutual", ({ mutual }) => mutual],
    ["encrypted", ({ encrypted }) => encrypted],
    ["no replay", ({ details }) => details.replayDetection],
    ["in order", ({ details }) => details.sequenceDetection],
    ["impersonation", ({ impersonation }) => impersonation],
    ["simulated", ({ simulated }) => simulated],
    ["valid until", ({ expiresAt }) => expiresAt?.toISOString().replace(/:\d\d\..*/, "Z")],
  ];
  const line = (...cells: unknown[]): string =>
    cells.map((cell, index) => String(cell).padEnd(index === 0 ? 16 : 25)).join("").trimEnd();
  show(paint("dim", line("", "the client has proof of", "the server has proof of")));
  for (const [name, fact] of facts) show(line(name, fact(client), fact(server)));
}

async function converse(stage: Stage): Promise<void> {
  section("A connection over TCP, through a relay that records");
  stage.relay.forget();
  const { client, server } = await openConnection(stage);
  try {
    showSecurity(client.security, server.security);
    expect(
      "Each end knows who the other is, by proof",
      client.security.mutual === true && server.security.mutual === true &&
        client.security.peer === TARGET && server.security.peer === "alice@MIT.TEST",
      "checked before the first byte of the application, and with each record",
    );
    const handshake = stage.relay.fromClient.length;
    const plain = new TextEncoder().encode(SECRET);
    await client.write(plain);
    const into = new Uint8Array(1024);
    const length = await server.read(into) ?? 0;
    const received = new TextDecoder().decode(into.subarray(0, length));
    say("sent", SECRET);
    expect("The server reads the very same", received === SECRET, `${length} bytes`);

    section("What the wire shows");
    show(hexdump(joined(stage.relay.fromClient.slice(handshake)), 5));
    const seen = joined([...stage.relay.fromClient, ...stage.relay.fromServer]);
    const longest = longestPart(seen, plain);
    expect(
      "The text is not there, nor a piece of it",
      longest < 4,
      `of ${plain.length} characters no more than ${longest} in a row are anywhere in ${seen.length} bytes`,
    );
  } finally {
    await Promise.all([client.close(), server.close()]);
  }
}

async function demonstrate(realm: Realm, began: number): Promise<void> {
  section("A realm of its own");
  const made = ((performance.now() - began) / 1000).toFixed(2);
  show(`${realm.realm}, its KDC on 127.0.0.1:${realm.port}, made in ${made} s; alice has a ticket`);

  section("Which provider serves");
  using system = openSystem({ grants: ["sspi"] });
  const registry = createRegistry([ntlm(), negotiate(), kerberos()]);
  showProviders(registry.providers);
  const selection = registry.select(undefined, system.capabilities());
  say("required", "integrity, encryption, mutual authentication (the default)");
  showChoice(registry.providers, selection);

  const failures = new Failures();
  await using listener = await listen({
    hostname: "127.0.0.1",
    port: 0,
    acceptedTargets: [TARGET],
    registry,
    system,
    onHandshakeError: (error) => failures.add(error),
    handshakeTimeoutMs: LIMIT_MS,
  });
  await using relay = await Relay.start(listener.addr.port);
  const honest: ConnectOptions = {
    hostname: "127.0.0.1",
    port: relay.port,
    target: TARGET,
    registry,
    system,
  };
  const stage: Stage = { listener, failures, relay, honest };
  await converse(stage);

  section("What is refused");
  await wrongTargets(stage);
  await ntlmOffered(stage);
  await tamperedRecords(stage);
}

async function main(args: string[]): Promise<number> {
  const unknown = args.find((arg) => !["--help", "--no-install"].includes(arg));
  if (args.includes("--help") || unknown !== undefined) {
    console.log(unknown === undefined ? HELP : `There is no ${unknown}; see --help`);
    return unknown === undefined ? 0 : 1;
  }
  const packages = ["krb5-kdc", "krb5-admin-server", "krb5-user"];
  const missing = await ensurePackages(packages, { install: !args.includes("--no-install") });
  const unavailable = realmUnavailable();
  if (unavailable !== null) {
    console.error(`The demo cannot run: ${missing ?? unavailable}`);
    return 1;
  }
  const began = performance.now();
  await using realm = await startRealm();
  const restore = realm.applyEnv();
  try {
    await realm.kinit("alice");
    const ready = performance.now();
    await demonstrate(realm, began);
    const took = ((performance.now() - ready) / 1000).toFixed(2);
    const verdict = allFine() ? paint("green", "All as it should be") : paint("red", "NOT as it should be");
    console.log(`\n${verdict}, in ${took} s.`);
  } finally {
    restore();
  }
  return allFine() ? 0 : 1;
}

if (import.meta.main) Deno.exitCode = await main(Deno.args);
