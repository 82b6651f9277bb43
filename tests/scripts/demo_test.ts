/** The demo and the examples, run as whoever tries them runs them. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { spawn } from "node:child_process";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { flipBit, Relay, replay } from "../../scripts/demo/relay.ts";
import { wrap } from "../../scripts/demo/screen.ts";
import { hexdump, longestPart } from "../../scripts/demo/wire.ts";
import { run, type RunResult } from "../../scripts/process.ts";
import { adDcUnavailable } from "../rig/ad_dc.ts";
import { freePort, realmUnavailable, startRealm } from "../rig/realm.ts";
import { connectTcp, listenTcp } from "../../ffi/transport/mod.ts";

const skip = realmUnavailable();
const root = fileURLToPath(new URL("../../", import.meta.url));
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

function demo(args: string[], env: Record<string, string> = {}) {
  return run(Deno.execPath(), ["run", "-A", "scripts/demo.ts", ...args], {
    cwd: root,
    env: { NO_COLOR: "1", ...env },
    timeoutMs: 60_000,
  });
}

/** Whether somebody listens on a port of 127.0.0.1. */
function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("connect", () => resolve(true)).on("error", () => resolve(false));
    socket.on("connect", () => socket.destroy());
  });
}

/** Every step ended as it should, in this order the refusals named, on 80 columns and without colour. */
function assertWentWell({ code, stdout, stderr }: RunResult, refusals: string[]): void {
  assertEquals(code, 0, stdout + stderr);
  assertEquals(stderr, "");
  assertStringIncludes(stdout, "All as it should be");
  assertEquals(stdout.match(/^ {3}(ok|NO)\b/gm)?.filter((mark) => mark.includes("NO")), []);
  assertEquals([...stdout.matchAll(/^ +\w+Error ([a-z-]+):/gm)].map(([, reason]) => reason), refusals);
  assertEquals(stdout.split("\n").filter((line) => line.length > 80), []);
  assert(!stdout.includes("\x1b"));
}

/** NTLM on TCP: who is known by proof, and that it is not chosen where nobody gave mutual authentication up. */
function assertShowsNtlm(stdout: string): void {
  for (
    const line of [
      "ok  The server has proof of the client, and the client is told it has none",
      "ok  The server reads the very same",
      "ok  The text is not there, nor a piece of it",
      "ProviderNotFoundError: ntlm: it does not offer mutualAuthentication",
    ]
  ) assertStringIncludes(stdout, line);
}

/** HTTP: each end knows the other, and what is refused. */
function assertShowsHttp(stdout: string): void {
  for (
    const line of [
      "ok  A fetch is signed on without a password, and the server has proved itself",
      '200, "Hello alice@MIT.TEST", by kerberos',
      "ok  An impostor without the service's key: the client refuses",
      "ok  A true token of alice's for another service: the server refuses",
    ]
  ) assertStringIncludes(stdout, line);
}

/** The IPsec part: no step and no result in it can be taken for a real one. */
function assertSaysSimulated(stdout: string): void {
  const [, part] = /\n\d\. IPsec at the socket: simulated\n(.*?)\n\n/s.exec(stdout) ?? [];
  assert(part !== undefined, "there is a part on IPsec");
  const lines = part.split("\n");
  const other = lines.filter((line) => !/^ +(ok {2})?simulated:? /.test(line));
  assertEquals(other, ["   for real   on Windows, not yet run there: examples/secure_tcp_connect.ts"]);
  assertEquals(lines.filter((line) => line.startsWith("   ok  ")).length, 4);
  assertStringIncludes(part, "No real IPsec negotiation has been run");
  for (const error of ["SecurityRequirementError", "TransportError"]) {
    assertStringIncludes(part, `simulated: ${error}; 0 bytes encrypted, 0 in clear`);
  }
}

test("the demo succeeds, fits a terminal of 80 columns, and leaves no KDC running", async () => {
  const result = await demo(["--no-install"]);
  const { stdout } = result;
  const refusals = ["unknown-target", "target-not-accepted", "mechanism", "altered", "replayed"];
  assertWentWell(result, [...refusals, "bad-credentials"]);
  assertShowsHttp(stdout.slice(stdout.indexOf("HTTP sign-on")));
  assertShowsNtlm(stdout.slice(stdout.indexOf("NTLM over TCP")));
  assertSaysSimulated(stdout);
  const port = Number(/its KDC on 127\.0\.0\.1:(\d+)/.exec(stdout)?.[1]);
  assertEquals(await answers(port), false);
}, { skip });

test("without a KDC the demo shows all of NTLM, succeeds, and prints what to install for Kerberos", async () => {
  const result = await demo(["--no-install"], { PATH: root });
  const { stdout } = result;
  assertWentWell(result, ["bad-credentials", "altered", "replayed"]);
  assertShowsNtlm(stdout);
  assertSaysSimulated(stdout);
  assertStringIncludes(stdout, "chosen     ntlm");
  assert(
    /^ {3}ntlm +context +sandboxed +integrity, encryption\n +sha256 [0-9a-f]{64}\n +may call clock, random$/m
      .test(stdout),
  );
  assert(/^ {3}peer +nobody +EXAMPLE\\alice$/m.test(stdout));
  assert(/^ {3}000000 {2}[0-9a-f]{2} /m.test(stdout), "the wire is shown");
  assertStringIncludes(stdout, "What was not shown: Kerberos");
  assertStringIncludes(stdout.replace(/\s+/g, " "), "apt-get install krb5-kdc krb5-admin-server krb5-user");
  assertStringIncludes(stdout, "All as it should be, without Kerberos");
});

test("a step with an unexpected result is reported in the last line and by the exit status", async () => {
  const program = `
    import { main } from "${new URL("../../scripts/demo.ts", import.meta.url)}";
    import { expect } from "${new URL("../../scripts/demo/screen.ts", import.meta.url)}";
    expect("A step that is made to fail", false, "it failed");
    Deno.exitCode = await main(["--no-install"]);`;
  const data = `data:application/javascript,${encodeURIComponent(program)}`;
  const env = { NO_COLOR: "1", PATH: root };
  const { code, stdout } = await run(Deno.execPath(), ["run", "-A", data], {
    cwd: root,
    env,
    timeoutMs: 60_000,
  });
  assertEquals(code, 1);
  assertStringIncludes(stdout, "   NO  A step that is made to fail");
  assertStringIncludes(stdout, "\nNOT as it should be, without Kerberos");
});

test("the demo prints its help, and refuses unknown arguments", async () => {
  const help = await demo(["--help"]);
  assertEquals(help.code, 0);
  assertStringIncludes(help.stdout, "Usage: deno task demo");
  const wrong = await demo(["--bogus"]);
  assertEquals(wrong.code, 1);
  assertStringIncludes(wrong.stdout, "There is no --bogus");
});

for (const [service, ...target] of [["host/localhost"], ["HTTP/localhost", "HTTP/localhost"]]) {
  test(
    `the examples connect to each other as ${service} with only the permissions in their comments`,
    async () => {
      await using realm = await startRealm();
      await realm.kinit("alice");
      const port = String(await freePort());
      const flags = ["run", "--no-prompt", "--allow-net", "--allow-ffi"];
      const options = { cwd: root, env: { ...realm.env, NO_COLOR: "1" } };
      const server = spawn(Deno.execPath(), [...flags, "examples/echo_server.ts", service, port], {
        ...options,
        env: { ...Deno.env.toObject(), ...options.env },
        stdio: ["ignore", "pipe", "inherit"],
      });
      const ended = new Promise((resolve) => server.on("close", resolve));
      try {
        const lines = createInterface({ input: server.stdout })[Symbol.asyncIterator]();
        assertStringIncludes((await lines.next()).value ?? "", `${service} listens`);
        const client = [...flags, "examples/echo_client.ts", "localhost", port, "hello there", ...target];
        const { code, stdout, stderr } = await run(Deno.execPath(), client, {
          ...options,
          timeoutMs: 30_000,
        });
        assertEquals([code, stdout, stderr], [0, `${service} answers, encrypted:\nhello there\n`, ""]);
        assertEquals((await lines.next()).value, "alice@MIT.TEST is connected");
      } finally {
        server.kill("SIGKILL");
        await ended;
      }
    },
    { skip },
  );
}

test("the relay passes bytes both ways, records them, and tampers with the next ones of the client alone", async () => {
  const listener = await listenTcp({ hostname: "127.0.0.1", port: 0 });
  const relay = await Relay.start(listener.addr.port);
  const accepted = listener.accept();
  const client = await connectTcp({ hostname: "127.0.0.1", port: relay.port });
  const server = await accepted;
  const into = new Uint8Array(16);
  const read = async (conn: typeof client) => into.slice(0, await conn.read(into) ?? 0);
  try {
    await client.write(Uint8Array.of(1, 2));
    assertEquals(await read(server), Uint8Array.of(1, 2));
    await server.write(Uint8Array.of(3));
    assertEquals(await read(client), Uint8Array.of(3));
    relay.tamper(flipBit);
    await server.write(Uint8Array.of(4));
    assertEquals(await read(client), Uint8Array.of(4));
    await client.write(Uint8Array.of(8, 8));
    assertEquals(await read(server), Uint8Array.of(8, 9));
    assertEquals(replay(Uint8Array.of(7)), [Uint8Array.of(7), Uint8Array.of(7)]);
    await client.write(Uint8Array.of(5));
    assertEquals(await read(server), Uint8Array.of(5));
    assertEquals(relay.fromClient, [Uint8Array.of(1, 2), Uint8Array.of(8, 8), Uint8Array.of(5)]);
    assertEquals(relay.fromServer, [Uint8Array.of(3), Uint8Array.of(4)]);
  } finally {
    client.close();
    server.close();
    listener.close();
    await relay[Symbol.asyncDispose]();
  }
  await assertRejects(() => connectTcp({ hostname: "127.0.0.1", port: relay.port }));
});

test("a text that is on the wire is found, whole or in part", () => {
  const wire = encode("xxquarterlyxx figures");
  assertEquals(longestPart(wire, encode("quarterly figures")), 9);
  assertEquals(longestPart(wire, encode("zzz")), 0);
  assertEquals(longestPart(wire, encode("figures")), 7);
  assertEquals(longestPart(encode("aaab"), encode("aab")), 3);
});

test("a hexdump shows offset, bytes and text, and no more lines than asked for", () => {
  const text = "000000  00 41 7f 42                                     .A.B";
  assertEquals(hexdump(Uint8Array.of(0, 0x41, 0x7f, 0x42), 3), text);
  assertEquals(hexdump(new Uint8Array(100), 2).split("\n").length, 2);
});

test("a text is broken at spaces, and a word that is too long at the width", () => {
  assertEquals(wrap("one two three", 7), ["one two", "three"]);
  assertEquals(wrap("a overlongword b", 4), ["a", "over", "long", "word", "b"]);
  assertEquals(wrap("", 4), [""]);
});

test("demo --directory installs, finds and proves a service of a domain", async () => {
  const { code, stdout, stderr } = await demo(["--no-install", "--directory"]);
  assertEquals(code, 0, stdout + stderr);
  for (
    const line of [
      "ok  The SPN is registered for the computer's account",
      "ok  A client that knows its class and a keyword finds it, with proof",
      "ok  One that leads to another server fails to authenticate",
    ]
  ) assertStringIncludes(stdout, line);
  assertEquals(stdout.split("\n").filter((line) => line.length > 80), []);
}, { skip: skip ?? await adDcUnavailable() });
