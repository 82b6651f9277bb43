/**
 * What must not go through: each attempt is made for real, and has to end in the one error it is meant to end in.
 *
 * @module
 */

import {
  connect,
  createRegistry,
  ntlm,
  type NtlmAccount,
  type ProviderNotFoundError,
  type SecureConn,
} from "../../mod.ts";
import { flipBit, replay, type Tampering } from "./relay.ts";
import { expect } from "./screen.ts";
import { openConnection, type Stage } from "./stage.ts";
import { joined } from "./wire.ts";

/** The first byte of a handshake record that reports only that its sender failed. */
const ERROR_RECORD = 0x15;

/** The error that a connection ends in before it is one; null where it is made, and closed again. */
export async function refusal(connecting: Promise<SecureConn>): Promise<unknown> {
  try {
    await (await connecting).close();
    return null;
  } catch (error) {
    return error;
  }
}

/** Whether `error` is of the named kind, `AuthenticationError unknown-target` for instance. */
export function expectError(what: string, error: unknown, kind: string): void {
  const { name, reason, message } = (error ?? {}) as { name?: string; reason?: string; message?: string };
  const got = name === undefined ? "nothing was refused" : `${name} ${reason ?? ""}`.trim();
  expect(what, got === kind, name === undefined ? got : `${got}: ${message}`);
}

/** A client that asks for names that are not this server's. */
export async function wrongTargets({ honest, relay, failures }: Stage): Promise<void> {
  relay.forget();
  const unknown = await refusal(connect({ ...honest, target: "HTTP/nobody.mit.test" }));
  expectError("A name nobody registered: the client stops", unknown, "AuthenticationError unknown-target");
  await failures.next();
  const sent = joined(relay.fromClient);
  const says = `${sent.length} bytes, which say that it failed`;
  expect("No ticket was sent", sent.length < 20 && sent[0] === ERROR_RECORD, says);

  await refusal(connect({ ...honest, target: "host/web.mit.test" }));
  expectError(
    "Another service's name, and a true ticket for it: the server refuses",
    await failures.next(),
    "AuthenticationError target-not-accepted",
  );
}

/** A client without Kerberos that offers NTLM, which cannot prove the server to it. */
export async function ntlmOffered({ honest, relay, failures }: Stage): Promise<void> {
  relay.forget();
  await refusal(connect({
    ...honest,
    registry: createRegistry([ntlm({ spnego: true })]),
    requirements: { mutualAuthentication: false },
    credentials: { username: "alice", domain: "MIT", password: "a password" },
  }));
  const failure = await failures.next();
  const offered = new TextDecoder("latin1").decode(joined(relay.fromClient)).includes("NTLMSSP");
  expect("A client offers NTLM", offered, "its message was seen on the wire");
  expectError(
    "The server requires mutual authentication, and refuses",
    failure,
    "AuthenticationError mechanism",
  );
}

/** A client that claims to be an account whose password it does not know. */
export async function wrongPassword({ honest, failures }: Stage, account: NtlmAccount): Promise<void> {
  await refusal(connect({ ...honest, credentials: { ...account, password: "a guess" } }));
  expectError(
    "A wrong password: the server refuses",
    await failures.next(),
    "AuthenticationError bad-credentials",
  );
}

/** The honest client, but with the default requirements. */
export async function defaultRequirements({ honest }: Stage): Promise<void> {
  const error = await refusal(connect({ ...honest, requirements: undefined }));
  const { name, rejected } = (error ?? {}) as Partial<ProviderNotFoundError>;
  const reason = rejected?.find(({ provider }) => provider === "ntlm")?.reason;
  expect(
    "A client that did not give up mutual authentication does not connect",
    name === "ProviderNotFoundError" && reason !== undefined,
    name === undefined ? "nothing was refused" : `${name}: ntlm: ${reason}`,
  );
}

/** What an attacker on the network does to a record of an authenticated connection. */
export async function tamperedRecords(stage: Stage): Promise<void> {
  await tampered(stage, "One bit of a record is flipped on the way", flipBit, "ProtocolError altered");
  await tampered(stage, "A record is sent a second time", replay, "ProtocolError replayed");
}

async function tampered(stage: Stage, what: string, tampering: Tampering, kind: string): Promise<void> {
  const { client, server } = await openConnection(stage);
  try {
    stage.relay.tamper(tampering);
    await client.write(new TextEncoder().encode("pay 10 to bob"));
    await client.closeWrite();
    expectError(what, await readToEnd(server).catch((error) => error), kind);
  } finally {
    await Promise.all([client.close(), server.close()]);
  }
}

async function readToEnd(conn: SecureConn): Promise<null> {
  const into = new Uint8Array(1024);
  while (await conn.read(into) !== null);
  return null;
}
