/** NTLM over real TCP: between two ends of this library, and with .NET's NegotiateStream at the other end. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { test } from "@test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import {
  type AuthenticationError,
  connect,
  type ConnectOptions,
  isMember,
  listen,
  type ListenOptions,
  openSystem,
  ProviderNotFoundError,
  type SecureConn,
} from "../../mod.ts";
import { createRegistry, ntHash, ntlm } from "../../plugins/mod.ts";
import { ensureDotnet } from "../rig/dotnet.ts";
import { noGssNtlm } from "./gss_ntlm.ts";

const PASSWORD = "Пароль-1 €";
const TARGET = "HTTP/localhost";
const requirements = { mutualAuthentication: false };
// Granted nothing: NTLM needs nothing native, and nothing is opened.
const system = openSystem({ grants: [] });
const identity = { domain: "EXAMPLE", username: "alice", password: PASSWORD };
const dotnet = await ensureDotnet({ install: false });
const noDotnet = "reason" in dotnet ? dotnet.reason : noGssNtlm;

function registry(spnego: boolean) {
  const hashes = new Map([["EXAMPLE\\alice", ntHash(PASSWORD)]]);
  return createRegistry([
    ntlm({ spnego, accounts: ({ domain, username }) => hashes.get(`${domain}\\${username}`) ?? null }),
  ]);
}

interface Served {
  accepted: SecureConn["security"][];
  failures: unknown[];
}

/** Runs `body` beside a server that sends every byte back. */
async function serve(
  options: Partial<ListenOptions>,
  body: (port: number) => Promise<unknown>,
): Promise<Served> {
  const served: Served = { accepted: [], failures: [] };
  const listener = await listen({
    hostname: "127.0.0.1",
    port: 0,
    system,
    requirements,
    acceptedTargets: [TARGET],
    onHandshakeError: (error) => served.failures.push(error),
    ...options,
  });
  const serving = (async () => {
    for await (const conn of listener) {
      served.accepted.push(conn.security);
      await using one = conn;
      const buffer = new Uint8Array(65536);
      for (let length; (length = await one.read(buffer)) !== null;) {
        await one.write(buffer.subarray(0, length));
      }
    }
  })();
  try {
    await body((listener.addr as { port: number }).port);
  } finally {
    await listener.close();
    await serving;
  }
  return served;
}

async function roundTrip(options: Partial<ConnectOptions>, size: number): Promise<SecureConn["security"]> {
  const { hostname = "localhost", port = 0, ...rest } = options;
  await using conn = await connect({
    hostname,
    port,
    target: TARGET,
    system,
    requirements,
    credentials: identity,
    ...rest,
  });
  const sent = new Uint8Array(size).map((_, at) => at * 31 + size), back = new Uint8Array(size);
  const writing = conn.write(sent);
  for (let at = 0; at < size;) {
    const length = await conn.read(back.subarray(at));
    assert(length !== null, `the peer ended after ${at} of ${size} bytes`);
    at += length;
  }
  await writing;
  assertEquals(back, sent);
  return conn.security;
}

for (const spnego of [false, true]) {
  const how = spnego ? "inside SPNEGO" : "as it is";

  test(`connect and listen use NTLM over TCP, ${how}, and report that it is not mutual`, async () => {
    const { accepted, failures } = await serve({ registry: registry(spnego) }, async (port) => {
      const security = await roundTrip({ hostname: "127.0.0.1", port, registry: registry(spnego) }, 60_000);
      assertEquals([security.provider, security.confidentiality, security.mutualAuthentication], [
        "ntlm",
        true,
        false,
      ]);
    });
    assertEquals([accepted.map(({ peer }) => peer), failures], [["EXAMPLE\\alice"], []]);
  });
}

test("a server of ntlm() knows its client's account and domain, and no groups; its client has no peer", async () => {
  await using listener = await listen({
    hostname: "127.0.0.1",
    port: 0,
    system,
    requirements,
    acceptedTargets: [TARGET],
    registry: registry(true),
  });
  const accepted = listener.accept();
  const { port } = listener.addr as { port: number };
  const options = { target: TARGET, system, requirements, credentials: identity, registry: registry(true) };
  await using client = await connect({ hostname: "127.0.0.1", port, ...options });
  await using server = await accepted;
  assertEquals(server.peer, { name: "EXAMPLE\\alice", user: "alice", realm: "EXAMPLE", kind: "unknown" });
  assertEquals(client.peer, undefined);
  assertThrows(() => isMember(server.peer, "S-1-5-32-545"), Error, "EXAMPLE\\alice");
});

test("ntlm() is never selected without mutualAuthentication: false", async () => {
  const error = await assertRejects(
    () =>
      connect({
        hostname: "localhost",
        port: 9,
        target: TARGET,
        system,
        credentials: identity,
        registry: registry(false),
      }),
    ProviderNotFoundError,
  );
  assertEquals(error.rejected.map(({ provider }) => provider), ["ntlm"]);
});

test("a wrong password and a target of another server are refused over TCP", async () => {
  const mine = registry(false);
  const { failures } = await serve({ registry: mine }, async (port) => {
    const call = (more: Partial<ConnectOptions>) =>
      roundTrip({ hostname: "127.0.0.1", port, registry: mine, ...more }, 1);
    await assertRejects(() => call({ credentials: { ...identity, password: "other" } }));
    await assertRejects(() => call({ target: "HTTP/elsewhere" }));
  });
  const reasons = failures.map((error) => (error as AuthenticationError).reason);
  assertEquals(reasons, ["bad-credentials", "target-not-accepted"]);
});

/** What .NET finds NTLM's accounts by, and no Kerberos. */
async function withAccounts(body: (env: Record<string, string>) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(`${tmpdir()}/ntlm_users_`);
  writeFileSync(`${folder}/users`, `EXAMPLE:alice:${PASSWORD}\n`);
  try {
    await body({ NTLM_USER_FILE: `${folder}/users`, KRB5_CONFIG: "/dev/null" });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

test(
  "a .NET client authenticates to our server with NTLM, encrypts, and gets back 1 byte to 1 MiB",
  () =>
    withAccounts(async (env) => {
      assert("start" in dotnet);
      const sizes = [1, 1000, 65536, 1 << 20];
      const { accepted, failures } = await serve({ registry: registry(true) }, async (port) => {
        const args = ["client", "--port", String(port), "--target", TARGET, "--sizes", sizes.join()];
        await using peer = dotnet.start(args, env);
        const [authenticated, ...echoes] = await peer.rest();
        assertEquals(authenticated.authenticationType, "NTLM");
        assertEquals([authenticated.isEncrypted, authenticated.isMutuallyAuthenticated], [true, false]);
        assertEquals(echoes, sizes.map((size) => ({ event: "echoed", size, same: true })));
      });
      assertEquals(accepted.map(({ peer }) => peer), ["EXAMPLE\\alice"]);
      assertEquals(accepted[0].requestedTarget, TARGET);
      assertEquals(failures, []);
    }),
  { skip: noDotnet },
);

test(
  "our client authenticates to a .NET server with NTLM, and gets back what it sends",
  () =>
    withAccounts(async (env) => {
      assert("start" in dotnet);
      await using peer = dotnet.start(["server"], env);
      const { port } = await peer.next() as unknown as { port: number };
      await roundTrip({ port, registry: registry(true) }, 100_000);
      const [authenticated, end] = await peer.rest();
      assertEquals(String(authenticated.remoteName).replace(/\0$/, ""), "EXAMPLE\\alice");
      assertEquals([authenticated.isEncrypted, authenticated.isMutuallyAuthenticated], [true, false]);
      assertEquals(end.bytes, 100_000);
    }),
  { skip: noDotnet },
);

test("a .NET client with a wrong password is refused by our server", () =>
  withAccounts(async (env) => {
    assert("start" in dotnet);
    const { accepted, failures } = await serve({ registry: registry(true) }, async (port) => {
      const wrong = ["--user", "alice", "--password", "other", "--domain", "EXAMPLE"];
      const args = ["client", "--port", String(port), "--target", TARGET, ...wrong];
      await using peer = dotnet.start(args, env);
      assertEquals((await peer.rest())[0].event, "failed");
    });
    assertEquals(accepted, []);
    assertEquals((failures[0] as AuthenticationError).reason, "bad-credentials");
  }), { skip: noDotnet });
