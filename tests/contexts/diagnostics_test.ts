/** The channels of `node:diagnostics_channel`: which messages, when, and that they contain no secrets. */

import { spawn } from "node:child_process";
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { connect, createRegistry, type DiagnosticMessages, listen, ntHash, ntlm } from "../../mod.ts";
import { openAcceptor, openInitiator, openSystem } from "../../mod.ts";
import { freePort } from "../rig/realm.ts";
import { inRealm, noRealm } from "../support/kerberos.ts";

type Name = keyof DiagnosticMessages;
type Message = { readonly channel: Name } & Record<string, unknown>;

const NAMES: readonly Name[] = [
  "secure-sockets.handshake.start",
  "secure-sockets.handshake.end",
  "secure-sockets.handshake.error",
  "secure-sockets.credentials",
  "secure-sockets.listener.refused",
  "secure-sockets.connection.close",
];
const PASSWORD = "correct horse battery staple";
const registry = createRegistry([
  ntlm({ accounts: ({ username }) => username === "alice" ? ntHash(PASSWORD) : null }),
]);
const requirements = { mutualAuthentication: false };
const TARGET = "host/server.example.test";

/** Every message that is published while `run` runs. */
async function observe(run: () => Promise<unknown>): Promise<Message[]> {
  const seen: Message[] = [];
  const listeners = NAMES.map((channel) => {
    const onMessage = (message: unknown): void => void seen.push({ channel, ...message as object });
    subscribe(channel, onMessage);
    return () => unsubscribe(channel, onMessage);
  });
  try {
    await run();
  } finally {
    for (const end of listeners) end();
  }
  return seen;
}

async function shake(password: string): Promise<void> {
  const credentials = { domain: "EXAMPLE", username: "alice", password };
  using system = openSystem({ grants: ["sspi"] });
  using initiator = await openInitiator({ registry, requirements, credentials, system });
  using acceptor = await openAcceptor({ registry, requirements, system });
  using client = initiator.initiate({ target: TARGET });
  using server = acceptor.accept();
  const challenge = await server.step((await client.step()).token!);
  await server.step((await client.step(challenge.token)).token!);
}

const ofChannel = (seen: readonly Message[], channel: Name): Message[] =>
  seen.filter((message) => message.channel === channel);

test("DiagnosticMessages report a handshake from both ends: start, end, provider and durations", async () => {
  const seen = await observe(() => shake(PASSWORD));
  assertEquals(ofChannel(seen, "secure-sockets.credentials").map(({ role }) => role), ["client", "server"]);
  const starts = ofChannel(seen, "secure-sockets.handshake.start");
  const ends = ofChannel(seen, "secure-sockets.handshake.end");
  assertEquals(starts.map(({ role, target }) => [role, target]), [["client", TARGET], ["server", undefined]]);
  assertEquals(ends.map(({ id }) => id).sort(), starts.map(({ id }) => id).sort());
  for (const { provider, mechanism, steps, durationMs, providerMs } of ends) {
    assertEquals([provider, mechanism, steps], ["ntlm", "ntlm", 2]);
    assert(Number(providerMs) > 0 && Number(durationMs) >= Number(providerMs));
  }
  assertEquals(ofChannel(seen, "secure-sockets.handshake.error"), []);
});

test("DiagnosticMessages report a failed handshake once, with its reason and without a secret", async () => {
  const seen = await observe(() => assertRejects(() => shake("wrong password")));
  const [failure, ...more] = ofChannel(seen, "secure-sockets.handshake.error");
  assertEquals(more, []);
  assertEquals([failure.role, failure.provider, failure.steps], ["server", "ntlm", 2]);
  assertEquals(failure.error, { name: "AuthenticationError", reason: "bad-credentials" });
  const text = JSON.stringify(seen);
  for (const secret of ["wrong password", "alice", "EXAMPLE"]) assert(!text.includes(secret), secret);
});

test("DiagnosticMessages report what a listener refuses, and the bytes and records of a connection", async () => {
  using system = openSystem({ grants: ["sspi"] });
  const seen = await observe(async () => {
    await using listener = await listen({
      hostname: "127.0.0.1",
      port: 0,
      registry,
      requirements,
      system,
      onHandshakeError: () => {},
    });
    const connecting = (password: string) =>
      connect({
        hostname: "127.0.0.1",
        port: listener.addr.port,
        target: TARGET,
        registry,
        requirements,
        system,
        credentials: { domain: "EXAMPLE", username: "alice", password },
      });
    await assertRejects(() => connecting("wrong password"));
    const [client, server] = await Promise.all([connecting(PASSWORD), listener.accept()]);
    await client.write(new Uint8Array(100_000));
    const into = new Uint8Array(100_000);
    for (let have = 0; have < into.length;) have += (await server.read(into.subarray(have)))!;
    await client.close();
    await server.close();
  });
  const [refused] = ofChannel(seen, "secure-sockets.listener.refused");
  assertEquals(refused.error, { name: "AuthenticationError", reason: "bad-credentials" });
  assertEquals((refused.remoteAddr as { hostname: string }).hostname, "127.0.0.1");
  const closes = ofChannel(seen, "secure-sockets.connection.close");
  assertEquals(closes.map(({ bytesWritten, bytesRead, error }) => [bytesWritten, bytesRead, error]), [
    [100_000, 0, undefined],
    [0, 100_000, undefined],
  ]);
  assertEquals(closes[0].recordsWritten, closes[1].recordsRead);
  assert(Number(closes[0].recordsWritten) > 1);
});

test("DiagnosticMessages are frozen: one subscriber cannot change what the next one sees", async () => {
  const frozen: boolean[] = [];
  const onMessage = (message: unknown): void => void frozen.push(Object.isFrozen(message));
  subscribe("secure-sockets.handshake.end", onMessage);
  try {
    await shake(PASSWORD);
  } finally {
    unsubscribe("secure-sockets.handshake.end", onMessage);
  }
  assertEquals(frozen, [true, true]);
});

test(
  "examples/metrics.ts counts a connection and a refused one, with only the permissions in its comment",
  () =>
    inRealm(async (realm, system) => {
      const [port, metrics] = [await freePort(), await freePort()];
      const args = ["run", "--no-prompt", "--quiet", "--no-lock", "--allow-net", "--allow-ffi"];
      const server = spawn(process.execPath, [...args, "examples/metrics.ts", `${port}`, `${metrics}`], {
        cwd: fileURLToPath(new URL("../../", import.meta.url)),
        env: { ...process.env, ...realm.env },
        stdio: ["ignore", "pipe", "inherit"],
      });
      const ended = new Promise((resolve) => server.on("close", resolve));
      try {
        for await (const line of createInterface({ input: server.stdout })) {
          assert(line.includes(`http://127.0.0.1:${metrics}/metrics`));
          break;
        }
        const target = "HTTP/localhost";
        {
          await using conn = await connect({ hostname: "127.0.0.1", port, target, system });
          await conn.write(new Uint8Array(5_000));
          const into = new Uint8Array(5_000);
          for (let have = 0; have < into.length;) have += (await conn.read(into.subarray(have)))!;
        }
        await assertRejects(() =>
          connect({
            hostname: "127.0.0.1",
            port,
            target,
            registry,
            requirements,
            system,
            credentials: { domain: "EXAMPLE", username: "alice", password: PASSWORD },
          })
        );
        const expected = [
          'secure_sockets_handshakes_total{role="server",provider="negotiate",error_type=""} 1',
          'secure_sockets_io_bytes_total{direction="transmit"} 5000',
          "secure_sockets_refused_total{error_type=",
        ];
        let text = "";
        // The server may still be closing the connection.
        for (let tries = 0; tries < 200 && !expected.every((part) => text.includes(part)); tries++) {
          await new Promise((resolve) => setTimeout(resolve, 20));
          text = await (await fetch(`http://127.0.0.1:${metrics}/metrics`)).text();
        }
        for (const part of expected) assertStringIncludes(text, part);
      } finally {
        server.kill("SIGKILL");
        await ended;
      }
    }),
  { skip: process.versions.deno ? noRealm : "the examples are Deno programs" },
);
