/** connectThroughProxy(): against Squid with Negotiate, and against proxies that misbehave. */

import { Buffer } from "node:buffer";
import { createHmac } from "node:crypto";
import type { Socket } from "node:net";
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { test } from "@test";
import { connectThroughProxy, type ProxyTunnelOptions } from "../../../http/proxy/tunnel.ts";
import { findProgram, run } from "../../../scripts/process.ts";
import { squidUnavailable, startSquid } from "../../rig/squid.ts";
import { inRealm, noRealm } from "../../support/kerberos.ts";
import { listening, toySignOn, writtenProxy } from "../../support/http_proxy.ts";

const noSquid = noRealm ?? squidUnavailable();

function echo() {
  return listening((socket) => socket.pipe(socket));
}

/** Sends `text` and returns as much as it is long. */
async function exchange(socket: Socket, text: string): Promise<string> {
  socket.write(text);
  let received = "";
  for await (const chunk of socket.iterator({ destroyOnReturn: false })) {
    received += chunk;
    if (received.length >= text.length) break;
  }
  return received;
}

test("connectThroughProxy signs on to Squid with a token of its own for each tunnel", async () => {
  await inRealm(async (realm, system) => {
    await using squid = await startSquid(realm);
    await using server = await echo();
    const options = { proxy: `http://localhost:${squid.port}`, host: "localhost", port: server.port, system };
    for (const text of ["first", "second"]) {
      const socket = await connectThroughProxy(options);
      assertEquals(await exchange(socket, text), text);
      socket.destroy();
    }
    const error = await assertRejects(() => connectThroughProxy({ ...options, port: 1 }));
    assertEquals((error as { status?: number }).status, 503);
    assertMatch((error as Error).message, /cannot reach the host: check the name and the port/);
    // The same request by the reference client.
    const url = `http://localhost:${server.port}/`;
    const args = [
      "-s",
      "-m",
      "5",
      "-o",
      "/dev/null",
      "-w",
      "%{http_connect}",
      "--proxytunnel",
      "-x",
      options.proxy,
    ];
    const { stdout } = await run(findProgram("curl")!, [...args, "--proxy-negotiate", "-U", ":", url], {
      env: realm.env,
    });
    assertEquals(stdout, "200");
    // A tunnel is logged when it ends.
    const lines = () => squid.log().split("\n").filter((line) => line.includes("/200"));
    for (let tried = 0; lines().length < 3 && tried < 200; tried++) {
      await new Promise((done) => setTimeout(done, 50));
    }
    assertEquals(lines().map((line) => line.includes(" alice ")), [true, true, true]);
  });
}, { skip: noSquid ?? (findProgram("curl") ? null : "curl is missing: install curl") });

test("connectThroughProxy reports that Squid refuses a token for another name", async () => {
  await inRealm(async (realm, system) => {
    await using squid = await startSquid(realm);
    const options = { proxy: `http://localhost:${squid.port}`, host: "localhost", port: 9, system };
    const refused = () => connectThroughProxy({ ...options, target: "host/web.mit.test" });
    const error = await assertRejects(refused) as Error & { reason: string };
    assertEquals([error.name, error.reason], ["AuthenticationError", "peer-refused"]);
    assertMatch(error.message, /refused the token for host\/web\.mit\.test \(407\)/);
  });
}, { skip: noSquid });

/** The toy provider's answer to a client's token. */
function proof(key = "key"): string {
  return createHmac("sha256", key).digest("base64");
}

const OK = "HTTP/1.1 200 OK\r\n";
const TOO_LONG = `${OK}X: ${"y".repeat(70_000)}\r\n\r\n`;
const REFUSED: readonly [what: string, answer: string, name: string, detail: RegExp][] = [
  ["bare line feeds", "HTTP/1.1 200 OK\n\n", "ProtocolError", /not HTTP\/1\.1/],
  ["another protocol", "SSH-2.0-x\r\n\r\n", "ProtocolError", /not HTTP\/1\.1/],
  ["a header that is too long", TOO_LONG, "ProtocolError", /HPE_HEADER_OVERFLOW/],
  ["a status of 100", "HTTP/1.1 100 Continue\r\n\r\n", "ProtocolError", /answered 100/],
  [
    "a status of 101",
    "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
    "ProtocolError",
    /answered 101/,
  ],
  ["a redirect", "HTTP/1.1 302 Found\r\nLocation: http://evil.test/\r\n\r\n", "ProxyError", /answered 302/],
  ["a status of 403", "HTTP/1.1 403 No\r\n\r\n", "ProxyError", /does not allow this host or port/],
  ["a status of 431", "HTTP/1.1 431 No\r\n\r\n", "ProxyError", /ticket may be too large/],
  ["no scheme", "HTTP/1.1 407 No\r\n\r\n", "AuthenticationError", /offers nothing/],
  [
    "other schemes",
    'HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm="a, Negotiate b"\r\nProxy-Authenticate: NTLM\r\n\r\n',
    "AuthenticationError",
    /offers basic, ntlm, and not Negotiate/,
  ],
  [
    "a further token",
    "HTTP/1.1 407 No\r\nProxy-Authenticate: Negotiate YWJj\r\n\r\n",
    "AuthenticationError",
    /further tokens/,
  ],
  ["a token that is not base64", `${OK}Proxy-Authenticate: Negotiate a=b\r\n\r\n`, "ProtocolError", /./],
  [
    "two tokens",
    `${OK}Proxy-Authenticate: Negotiate YWJj\r\nProxy-Authenticate: Negotiate YWJj\r\n\r\n`,
    "ProtocolError",
    /several negotiate challenges/,
  ],
  [
    "a token of another",
    `${OK}Proxy-Authenticate: Negotiate ${proof("x")}\r\n\r\n`,
    "AuthenticationError",
    /./,
  ],
];

for (const [what, answer, name, detail] of REFUSED) {
  test(`connectThroughProxy refuses a proxy that answers with ${what}`, async () => {
    await using proxy = await writtenProxy(() => answer);
    const error = await assertRejects(() => connectThroughProxy(through(proxy.port))) as Error;
    assertEquals(error.name, name, error.message);
    assertMatch(error.message, detail);
    while (proxy.sockets.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  });
}

function through(port: number, more: Partial<ProxyTunnelOptions> = {}): ProxyTunnelOptions {
  return { proxy: `http://localhost:${port}`, host: "web.example.test", port: 443, ...toySignOn(), ...more };
}

test("connectThroughProxy keeps what the host sends together with the proxy's answer", async () => {
  await using proxy = await writtenProxy(() => `${OK}\r\nSSH-2.0-server\r\n`);
  const socket = await connectThroughProxy(through(proxy.port));
  assertEquals(await exchange(socket, "16 characters..."), "SSH-2.0-server\r\n");
  socket.destroy();
  assertMatch(
    proxy.headers[0],
    /^CONNECT web\.example\.test:443 HTTP\/1\.1\r\nHost: web\.example\.test:443\r\n/,
  );
});

test("connectThroughProxy sends a token of 18 KB whole", async () => {
  await using proxy = await writtenProxy(() => `${OK}\r\n`);
  const socket = await connectThroughProxy(through(proxy.port, toySignOn(18_000)));
  socket.destroy();
  const sent = /\r\nProxy-Authorization: Negotiate (\S+)\r\n/.exec(proxy.headers[0])![1];
  assertEquals(Buffer.from(sent, "base64"), Buffer.alloc(18_000, 7));
});

test("connectThroughProxy writes IPv6 addresses in brackets and names in ASCII", async () => {
  await using proxy = await writtenProxy(() => `${OK}\r\n`);
  for (const host of ["2001:db8::1", "bücher.test"]) {
    (await connectThroughProxy(through(proxy.port, { host }))).destroy();
  }
  const lines = proxy.headers.map((header) => header.split(" ")[1]);
  assertEquals(lines, ["[2001:db8::1]:443", "xn--bcher-kva.test:443"]);
});

test("connectThroughProxy reports a proxy that closes, does not answer, or is not there", async () => {
  await using closing = await writtenProxy((_, socket) => (socket.end(), null));
  await using silent = await writtenProxy(() => null);
  const closed = await assertRejects(() => connectThroughProxy(through(closing.port))) as Error;
  assertEquals(closed.name, "TransportError");
  const late = await assertRejects(() =>
    connectThroughProxy(through(silent.port, { timeoutMs: 50 }))
  ) as Error;
  assertEquals(late.name, "TimeoutError");
  const absent = await assertRejects(() => connectThroughProxy(through(1))) as Error & { codeName: string };
  assertEquals([absent.name, absent.codeName], ["TransportError", "ECONNREFUSED"]);
  assertMatch(absent.message, /Check the proxy's address/);
});

test("connectThroughProxy rethrows the reason of its signal and closes the connection", async () => {
  await using silent = await writtenProxy(() => null);
  const controller = new AbortController();
  const reason = new Error("stop");
  const pending = connectThroughProxy(through(silent.port, { signal: controller.signal }));
  while (silent.headers.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  controller.abort(reason);
  assert(await pending.catch((error) => error) === reason);
  while (silent.sockets.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
  const again = connectThroughProxy(through(silent.port, { signal: controller.signal }));
  assert(await again.catch((error) => error) === reason);
});

const WRONG: readonly [Partial<Record<keyof ProxyTunnelOptions, unknown>>, RegExp][] = [
  [{ proxy: "ftp://p.test" }, /must begin with http:\/\/ or https:\/\//],
  [{ proxy: "http://p.test/path" }, /without a path/],
  [{ proxy: "http://u:secret@p.test" }, /must not contain a user name or password/],
  [{ proxy: 5 }, /must be the URL of a proxy/],
  [{ proxy: "http://127.0.0.1:3128" }, /IP address, which has no service principal name/],
  [{ proxy: "http://[::1]:3128" }, /IP address, which has no service principal name/],
  [{ host: "a b" }, /host must be/],
  [{ host: "a\r\nX: y" }, /host must be/],
  [{ port: 0 }, /whole number from 1 to 65535/],
  [{ target: "x" }, /service principal name/],
  [{ nosuch: 1 } as never, /nosuch is not known/],
  [{ ca: 5 }, /certificates in PEM/],
  [{ timeoutMs: 0 }, /whole number/],
];

test("connectThroughProxy refuses wrong options, and shows no password", async () => {
  for (const [wrong, message] of WRONG) {
    const options = { ...through(1), ...wrong } as ProxyTunnelOptions;
    const error = await connectThroughProxy(options).catch((error) => error);
    assert(error instanceof TypeError || error instanceof RangeError, String(error));
    assertMatch(error.message, message);
    assert(!error.message.includes("secret"));
  }
});
