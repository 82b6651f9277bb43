/**
 * One honest connection: what each end has verified of the other, and what an attacker on the network sees.
 *
 * @module
 */

import type { SecureConn, SecurityInfo } from "../../mod.ts";
import { expect, paint, say, section, show } from "./screen.ts";
import { openConnection, type Stage } from "./stage.ts";
import { hexdump, joined, longestPart } from "./wire.ts";

const SECRET = "Quarterly figures: 4,711 boxes sold, not one came back.";

/** What has to be known of the connection by the time it is one. */
export interface Proof {
  /** What is proved, in a sentence. */
  readonly what: string;
  /** Whether it is. */
  readonly holds: (client: SecurityInfo, server: SecurityInfo) => boolean;
  /** How that came about, or what it does not mean. */
  readonly remark: string;
}

/** Both ends of a connection. */
interface Ends {
  readonly client: SecureConn;
  readonly server: SecureConn;
}

/** Shows a connection in two parts: what is verified, and what the wire shows. */
export async function converse(stage: Stage, proof: Proof): Promise<void> {
  section("A connection over TCP, through a relay that records");
  stage.relay.forget();
  await using ends = await open(stage);
  showSecurity(ends.client.security, ends.server.security);
  prove(ends, proof);
  const handshake = stage.relay.fromClient.length;
  say("sent", SECRET);
  await send(ends);

  section("What the wire shows");
  show(hexdump(joined(stage.relay.fromClient.slice(handshake)), 5));
  searchWire(stage);
}

/** Shows that a connection is what it should be, without the attributes and the bytes. */
export async function converseBriefly(stage: Stage, proof: Proof): Promise<void> {
  stage.relay.forget();
  await using ends = await open(stage);
  prove(ends, proof);
  await send(ends);
  searchWire(stage);
}

async function open(stage: Stage): Promise<Ends & AsyncDisposable> {
  const { client, server } = await openConnection(stage);
  return {
    client,
    server,
    async [Symbol.asyncDispose]() {
      await Promise.all([client.close(), server.close()]);
    },
  };
}

/** What each end has verified, beside each other. */
function showSecurity(client: SecurityInfo, server: SecurityInfo): void {
  const facts: [string, (info: SecurityInfo) => unknown][] = [
    ["provider", ({ provider, mechanism }) => `${provider} (${mechanism})`],
    ["mutual", ({ mutualAuthentication: mutual }) => mutual],
    ["encrypted", ({ confidentiality: encrypted }) => encrypted],
    ["no replay", ({ details }) => details.replayDetection],
    ["in order", ({ details }) => details.sequenceDetection],
    ["impersonation", ({ impersonation }) => impersonation],
    ["simulated", ({ simulated }) => simulated],
    ["valid until", ({ expiresAt }) => expiresAt?.toISOString().replace(/:\d\d\..*/, "Z") ?? "no limit"],
  ];
  const line = (...cells: unknown[]): string =>
    cells.map((cell, index) => String(cell).padEnd(index === 0 ? 16 : 25)).join("").trimEnd();
  show(paint("dim", line("", "the client has proof of", "the server has proof of")));
  // The name that a client asked for proves nothing where the server did not authenticate under it.
  show(line("peer", client.mutualAuthentication === true ? client.peer : "nobody", server.peer));
  for (const [name, fact] of facts) show(line(name, fact(client), fact(server)));
}

function prove({ client, server }: Ends, { what, holds, remark }: Proof): void {
  expect(what, holds(client.security, server.security), remark);
}

async function send({ client, server }: Ends): Promise<void> {
  await client.write(new TextEncoder().encode(SECRET));
  const into = new Uint8Array(1024);
  const length = await server.read(into) ?? 0;
  const received = new TextDecoder().decode(into.subarray(0, length));
  expect("The server reads the very same", received === SECRET, `${length} bytes`);
}

function searchWire({ relay }: Stage): void {
  const plain = new TextEncoder().encode(SECRET);
  const seen = joined([...relay.fromClient, ...relay.fromServer]);
  const longest = longestPart(seen, plain);
  expect(
    "The text is not there, nor a piece of it",
    longest < 4,
    `of ${plain.length} characters no more than ${longest} in a row are anywhere in ${seen.length} bytes`,
  );
}
