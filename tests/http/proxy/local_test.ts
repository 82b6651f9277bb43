/** startLocalProxy(): clients, hosts and proxies of the tests' own on both sides of it. */

import { Buffer } from "node:buffer";
import { createServer as createHttp, type IncomingMessage, type ServerResponse } from "node:http";
import { connect, type Socket } from "node:net";
import { createServer as createTls } from "node:tls";
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { test } from "@test";
import { type LocalProxy, startLocalProxy } from "../../../http/proxy/local.ts";
import type { LocalProxyOptions, ProxyEvent } from "../../../http/proxy/local_options.ts";
import { AuthenticationError } from "../../../errors.ts";
import { createRegistry } from "../../../plugins/registry.ts";
import { toyProvider } from "../../support/toy_provider.ts";
import { certificatesUnavailable, makeCertificate } from "../../rig/certificates.ts";
import { rawClient, toySignOn, watched, writtenProxy } from "../../support/http_proxy.ts";

/** Runs `body` with a local proxy whose upstream listens on `port`. */
async function inLocal(
  port: number,
  body: (proxy: LocalProxy, events: ProxyEvent[]) => Promise<void>,
  options: Partial<LocalProxyOptions> = {},
): Promise<void> {
  const events: ProxyEvent[] = [];
  await using proxy = await startLocalProxy({
    upstreams: [`http://localhost:${port}`],
    port: 0,
    onEvent: (event) => void events.push(event),
    ...toySignOn(),
    ...options,
  });
  await body(proxy, events);
}

const ESTABLISHED = "HTTP/1.1 200 Connection established\r\n\r\n";
const OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/** A proxy that answers CONNECT and then returns what it receives. */
function echoProxy() {
  return writtenProxy((header, socket) => {
    if (!header.startsWith("CONNECT")) return OK;
    socket.removeAllListeners("data");
    socket.pipe(socket);
    return "HTTP/1.1 200 OK\r\n\r\n";
  });
}

const CONNECT = "CONNECT web.example.test:443 HTTP/1.1\r\nHost: web.example.test:443\r\n";

test("startLocalProxy makes a tunnel with a token, and forwards no Proxy-Authorization of the client's", async () => {
  await using upstream = await echoProxy();
  await inLocal(upstream.port, async (proxy) => {
    for (const version of ["1.1", "1.0"]) {
      using client = await rawClient(proxy.port);
      client.send(
        `CONNECT web.example.test:443 HTTP/${version}\r\nHost: x\r\nProxy-Authorization: Basic abc\r\n\r\nearly`,
      );
      client.send(" late");
      assertEquals(await client.until("early late"), `${ESTABLISHED}early late`);
      client.socket.end();
      assertEquals(await client.rest(), `${ESTABLISHED}early late`);
    }
    assertEquals(proxy.status().served, 2);
  });
  for (const header of upstream.headers) {
    assertMatch(header, /^CONNECT web\.example\.test:443 HTTP\/1\.1\r\nHost: web\.example\.test:443\r\n/);
    assertEquals(header.match(/Proxy-Authorization: .*/gi)!.length, 1);
    assertMatch(header, /\r\nProxy-Authorization: Negotiate \S+\r\n/);
  }
});

test("startLocalProxy sends a ticket of 18 KB whole", async () => {
  await using upstream = await echoProxy();
  await inLocal(upstream.port, async (proxy) => {
    using client = await rawClient(proxy.port);
    client.send(`${CONNECT}\r\n`);
    await client.until(ESTABLISHED);
  }, toySignOn(18_000));
  const [, token] = /Negotiate (\S+)/.exec(upstream.headers[0])!;
  assertEquals(Buffer.from(token, "base64").length, 18_000);
});

test("startLocalProxy keeps a direction open after the other has ended", async () => {
  await using upstream = await writtenProxy((_, socket) => {
    socket.removeAllListeners("end");
    socket.on("end", () => socket.end("after the end"));
    return "HTTP/1.1 200 OK\r\n\r\n";
  });
  await inLocal(upstream.port, async (proxy) => {
    using client = await rawClient(proxy.port);
    client.send(`${CONNECT}\r\n`);
    await client.until(ESTABLISHED);
    client.socket.end();
    assertEquals(await client.rest(), `${ESTABLISHED}after the end`);
  });
});

test("startLocalProxy closes a tunnel when either end is gone", async () => {
  await using upstream = await echoProxy();
  await inLocal(upstream.port, async (proxy) => {
    const client = await rawClient(proxy.port);
    client.send(`${CONNECT}\r\n`);
    await client.until(ESTABLISHED);
    assertEquals(proxy.status().tunnels, 1);
    client.socket.resetAndDestroy();
    while (proxy.status().tunnels > 0 || upstream.sockets.size > 0) await pause();
    using second = await rawClient(proxy.port);
    second.send(`${CONNECT}\r\n`);
    await second.until(ESTABLISHED);
    for (const socket of upstream.sockets) socket.resetAndDestroy();
    assertEquals(await second.rest(), ESTABLISHED);
  });
});

function pause(ms = 5): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

test("startLocalProxy holds back a sender whose receiver does not read, and serves the others", async () => {
  const flood = Buffer.alloc(64 * 1024, 1);
  let sent = 0;
  await using upstream = await writtenProxy((header, socket) => {
    if (header.includes("slow.test")) {
      const more = (): void => {
        while (sent < 256 * 1024 * 1024 && socket.write(flood)) sent += flood.length;
      };
      socket.on("drain", more);
      setTimeout(more, 1);
    }
    return "HTTP/1.1 200 OK\r\n\r\n";
  });
  await inLocal(upstream.port, async (proxy) => {
    using slow = await rawClient(proxy.port);
    slow.socket.pause();
    slow.send("CONNECT slow.test:443 HTTP/1.1\r\nHost: slow.test\r\n\r\n");
    let before = -1;
    while (sent === 0 || sent !== before) {
      before = sent;
      await pause(100);
    }
    // What the sockets' buffers of the system take, and not the 256 MiB.
    assert(sent < 64 * 1024 * 1024, `${sent} bytes were taken for a client that does not read`);
    using other = await rawClient(proxy.port);
    other.send(`${CONNECT}\r\n`);
    await other.until(ESTABLISHED);
  });
});

test("startLocalProxy serves tens of tunnels at once", async () => {
  await using upstream = await echoProxy();
  await inLocal(upstream.port, async (proxy) => {
    const clients = await Promise.all(Array.from({ length: 64 }, () => rawClient(proxy.port)));
    await Promise.all(clients.map(async (client, index) => {
      client.send(`${CONNECT}\r\nclient ${index};`);
      await client.until(`client ${index};`);
    }));
    assertEquals(proxy.status().tunnels, 64);
    clients.forEach((client) => client.socket.end());
    while (proxy.status().tunnels > 0) await pause();
  });
});

/** A proxy of node:http, as one would write it, whose requests `serve` answers. */
function httpProxy(serve: (request: IncomingMessage, response: ServerResponse) => void) {
  const server = createHttp({ maxHeaderSize: 128 * 1024 }, serve);
  server.on("upgrade", (_request, socket: Socket, head: Buffer) => {
    socket.on("error", () => {});
    socket.write(
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello",
    );
    socket.write(head);
    socket.on("data", (chunk: Buffer) => socket.write(`echo ${chunk}`));
    socket.on("end", () => socket.end());
  });
  return watched(server);
}

test("startLocalProxy forwards requests of plain http, each with a token, without hop-by-hop fields", async () => {
  const seen: { method?: string; url?: string; raw: string[] }[] = [];
  await using upstream = await httpProxy((request, response) => {
    seen.push({ method: request.method, url: request.url, raw: request.rawHeaders });
    response.writeHead(
      200,
      ["X-A", "1", "x-a", "2", "Keep-Alive", "timeout=9", "Proxy-Authenticate", "Negotiate"] as never,
    );
    response.end("answer");
  });
  await inLocal(upstream.port, async (proxy) => {
    using client = await rawClient(proxy.port);
    client.send(
      "GET http://web.test/a?b=c HTTP/1.1\r\nHost: other.test\r\nConnection: keep-alive, X-Secret\r\nX-Secret: 1\r\n" +
        "Proxy-Connection: keep-alive\r\nProxy-Authorization: Negotiate stolen\r\nX-Kept: 2\r\nTE: trailers\r\n\r\n" +
        "GET http://web.test/second HTTP/1.1\r\nHost: web.test\r\nConnection: close\r\n\r\n",
    );
    const text = await client.rest();
    assertEquals(text.match(/answer/g)!.length, 2);
    assertMatch(text, /X-A: 1\r\nx-a: 2\r\n/);
    assert(!/timeout=9|Proxy-Authenticate/.test(text), text);
  });
  assertEquals(seen.map(({ method, url }) => `${method} ${url}`), [
    "GET http://web.test/a?b=c",
    "GET http://web.test/second",
  ]);
  const fields = new Map<string, string>();
  for (let at = 0; at < seen[0].raw.length; at += 2) fields.set(seen[0].raw[at], seen[0].raw[at + 1]);
  assertEquals([...fields.keys()], ["Host", "X-Kept", "Via", "Proxy-Authorization", "Connection"]);
  assertEquals(fields.get("Host"), "web.test");
  assertMatch(fields.get("Proxy-Authorization")!, /^Negotiate (?!stolen)/);
});

test("startLocalProxy passes contents of any size in both directions, whatever their framing", async () => {
  await using upstream = await httpProxy((request, response) => request.pipe(response));
  const content = "0123456789abcdef".repeat(200_000);
  await inLocal(upstream.port, async (proxy) => {
    const chunked = content.match(/[^]{1,100000}/g)!.map((part) =>
      `${part.length.toString(16)}\r\n${part}\r\n`
    ).join("");
    for (
      const [fields, body] of [
        [`Content-Length: ${content.length}`, content],
        ["Transfer-Encoding: chunked", `${chunked}0\r\n\r\n`],
      ]
    ) {
      using client = await rawClient(proxy.port);
      client.send(
        `POST http://web.test/ HTTP/1.1\r\nHost: web.test\r\nConnection: close\r\n${fields}\r\n\r\n${body}`,
      );
      const text = await client.rest();
      const received = text.slice(text.indexOf("\r\n\r\n") + 4);
      const plain = /chunked/i.test(text.slice(0, 500)) ? unchunked(received) : received;
      assertEquals(plain.length, content.length);
      assert(plain === content);
    }
    // A client of HTTP/1.0 gets no chunks.
    using old = await rawClient(proxy.port);
    old.send("POST http://web.test/ HTTP/1.0\r\nContent-Length: 4\r\n\r\nabcd");
    const text = await old.rest();
    assert(text.endsWith("\r\n\r\nabcd") && !/chunked/i.test(text), text);
  });
});

function unchunked(text: string): string {
  let plain = "";
  for (let at = 0;;) {
    const end = text.indexOf("\r\n", at);
    const length = parseInt(text.slice(at, end), 16);
    if (length === 0) return plain;
    plain += text.slice(end + 2, end + 2 + length);
    at = end + 2 + length + 2;
  }
}

test("startLocalProxy passes on Expect: 100-continue, and what the other end says instead", async () => {
  await using upstream = await writtenProxy((header, socket) => {
    if (header.includes("/no")) return "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n";
    socket.once("data", () => socket.write(OK));
    return "HTTP/1.1 100 Continue\r\n\r\n";
  });
  await inLocal(upstream.port, async (proxy) => {
    const head = (path: string) =>
      `POST http://web.test/${path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n`;
    using client = await rawClient(proxy.port);
    client.send(head("yes"));
    assertEquals(await client.until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    client.send("abcd");
    assertMatch(await client.until(/ok$/), /HTTP\/1\.1 200 OK/);
    using refused = await rawClient(proxy.port);
    refused.send(head("no"));
    assertMatch(await refused.until("\r\n\r\n"), /^HTTP\/1\.1 417 No/);
  });
});

test("startLocalProxy serves the next request after one whose content was not wanted", async () => {
  await using upstream = await writtenProxy((header, socket) => {
    if (!header.includes("/large")) return header.startsWith("GET") ? OK : null;
    socket.removeAllListeners("data");
    socket.resume();
    return "HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nbig";
  });
  await inLocal(upstream.port, async (proxy) => {
    using client = await rawClient(proxy.port);
    client.send("POST http://web.test/large HTTP/1.1\r\nHost: a\r\nContent-Length: 3000000\r\n\r\n");
    client.send("x".repeat(100));
    await client.until("big");
    client.send(`${"x".repeat(2_999_900)}GET http://web.test/next HTTP/1.1\r\nHost: a\r\n\r\n`);
    assertMatch(await client.until(/ok$/), /413 Too Large[^]*200 OK/);
  });
});

test("startLocalProxy reports no failure where a client leaves before its tunnel stands", async () => {
  await using upstream = await writtenProxy(() => null);
  await inLocal(upstream.port, async (proxy, events) => {
    const client = await rawClient(proxy.port);
    client.send(`${CONNECT}\r\n`);
    while (upstream.headers.length === 0) await pause();
    client.socket.resetAndDestroy();
    while (proxy.status().connections > 0 || upstream.sockets.size > 0) await pause();
    assertEquals(events.map(({ event }) => event), ["listening"]);
    assertEquals(proxy.status().failed, 0);
  });
});

test("startLocalProxy shows that an answer was cut off", async () => {
  await using upstream = await writtenProxy((header, socket) => {
    setTimeout(() => socket.destroy(), 20);
    return header.includes("/chunked")
      ? "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
      : "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc";
  });
  await inLocal(upstream.port, async (proxy) => {
    for (const path of ["/length", "/chunked"]) {
      using client = await rawClient(proxy.port);
      client.send(`GET http://web.test${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
      const text = await client.rest();
      assert(text.includes("abc") && !text.endsWith("0\r\n\r\n"), text);
    }
  });
});

test("startLocalProxy passes on a WebSocket of plain http, and a refusal of one", async () => {
  await using upstream = await httpProxy((_, response) => response.writeHead(200).end("plain"));
  const ask = (protocol: string) =>
    `GET http://web.test/ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n` +
    "Sec-WebSocket-Key: x\r\n\r\n";
  await inLocal(upstream.port, async (proxy) => {
    using client = await rawClient(proxy.port);
    client.send(`${ask("websocket")}first`);
    assertMatch(await client.until("echo first"), /^HTTP\/1\.1 101 Switching Protocols\r\n[^]*\r\n\r\nhello/);
    client.send("second");
    await client.until("echo second");
    client.socket.end();
    await client.rest();
    // HTTP/2 in clear text is not for proxies.
    using other = await rawClient(proxy.port);
    other.send(ask("h2c"));
    assertMatch(await other.rest(), /^HTTP\/1\.1 200 OK\r\n[^]*\r\n\r\n[^]*plain/);
  });
});

test("startLocalProxy answers in the order of the requests, CONNECT after a request too", async () => {
  await using upstream = await writtenProxy((header, socket) => {
    if (header.startsWith("CONNECT")) return "HTTP/1.1 200 OK\r\n\r\ntunnel";
    setTimeout(() => socket.write(OK), 50);
    return null;
  });
  await inLocal(upstream.port, async (proxy) => {
    using client = await rawClient(proxy.port);
    client.send(`GET http://web.test/ HTTP/1.1\r\nHost: a\r\n\r\n${CONNECT}\r\n`);
    assertMatch(await client.until("tunnel"), /ok(HTTP\/1\.1 200 Connection established)\r\n\r\ntunnel$/);
  });
});

test("startLocalProxy closes a connection with too many requests that wait for answers", async () => {
  await using upstream = await writtenProxy(() => null);
  await inLocal(upstream.port, async (proxy) => {
    const get = "GET http://web.test/ HTTP/1.1\r\nHost: web.test\r\n\r\n";
    using some = await rawClient(proxy.port);
    some.send(get.repeat(50));
    using many = await rawClient(proxy.port);
    many.send(get.repeat(500));
    assertEquals(await many.rest(), "");
    while (proxy.status().connections > 1) await pause();
    assertEquals(some.received(), "");
  });
});

test("startLocalProxy drops requests that wait for answers when their client leaves", async () => {
  await using upstream = await writtenProxy(() => null);
  await inLocal(upstream.port, async (proxy) => {
    using client = await rawClient(proxy.port);
    client.send("GET http://web.test/ HTTP/1.1\r\nHost: web.test\r\n\r\n".repeat(3));
    while (upstream.headers.length === 0) await pause();
    client.socket.resetAndDestroy();
    while (proxy.status().connections > 0 || upstream.sockets.size > 0) await pause();
    assertEquals([upstream.headers.length, proxy.status().failed], [1, 0]);
    await proxy.close();
  });
});

test("startLocalProxy closes its connection to the proxy where there are no credentials", async () => {
  await using upstream = await writtenProxy(() => OK);
  const registry = createRegistry([toyProvider({
    onAcquire() {
      throw new AuthenticationError("no-credentials", "No ticket");
    },
  })]);
  await inLocal(upstream.port, async (proxy) => {
    for (const more of ["", "Connection: Upgrade\r\nUpgrade: websocket\r\n"]) {
      using client = await rawClient(proxy.port);
      client.send(`GET http://web.test/ HTTP/1.1\r\nHost: web.test\r\n${more}\r\n`);
      assertMatch(await client.rest(), /^HTTP\/1\.1 502 [^]*No ticket/);
    }
    while (upstream.sockets.size > 0) await pause();
    assertEquals([upstream.headers, proxy.status().failed], [[], 2]);
  }, { registry });
});

const SMUGGLED: readonly [what: string, request: string][] = [
  [
    "Content-Length and Transfer-Encoding",
    "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
  ],
  ["two lengths", "Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcde"],
  ["a list of lengths", "Content-Length: 5, 5\r\n\r\nabcde"],
  ["a length with a sign", "Content-Length: +5\r\n\r\nabcde"],
  ["another coding before chunked", "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"],
  ["chunked twice", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"],
  ["a coding that is not chunked", "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"],
  ["a space before the colon", "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"],
  ["a bare line feed", "X: y\nContent-Length: 5\r\n\r\nabcde"],
  ["a bare carriage return", "X: y\rContent-Length: 5\r\n\r\n"],
  ["a folded line", "X: y\r\n z\r\n\r\n"],
  ["a zero byte", "X: a\0b\r\n\r\n"],
  ["a second Host", "Host: b\r\n\r\n"],
  ["a header of 70 KB", `X: ${"y".repeat(70_000)}\r\n\r\n`],
];

for (const [what, rest] of SMUGGLED) {
  test(`startLocalProxy refuses a request with ${what}, and forwards nothing of it`, async () => {
    await using upstream = await echoProxy();
    await inLocal(upstream.port, async (proxy) => {
      using client = await rawClient(proxy.port);
      client.send(`POST http://web.test/ HTTP/1.1\r\nHost: a\r\n${rest}`);
      assertMatch(await client.rest(), /^HTTP\/1\.1 4(00|31) /);
    });
    assertEquals(upstream.headers, []);
  });
}

test("startLocalProxy refuses chunks that end in bare line feeds, and a coding in HTTP/1.0", async () => {
  await using upstream = await httpProxy((request, response) => request.pipe(response));
  await inLocal(upstream.port, async (proxy) => {
    using client = await rawClient(proxy.port);
    client.send(
      "POST http://web.test/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n",
    );
    assert(!(await client.rest()).includes("200 OK"));
    using old = await rawClient(proxy.port);
    old.send("POST http://web.test/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n");
    assertMatch(await old.rest(), /^HTTP\/1\.1 400 /);
  });
});

const WRONG_TARGETS: readonly [string, RegExp][] = [
  ["GET https://web.test/", /400 [^]*use CONNECT/],
  ["GET ftp://web.test/", /400 [^]*use CONNECT/],
  ["GET http://u:p@web.test/", /400 [^]*user name/],
  ["GET http://", /400 /],
  ["CONNECT web.test", /400 [^]*a host and a port/],
  ["CONNECT web.test:0", /400 /],
  ["CONNECT web.test:99999", /400 /],
  ["CONNECT u@web.test:443", /400 /],
  ["CONNECT http://web.test:443", /400 /],
  ["GET http://web.test:0/", /400 [^]*no valid host and port/],
];

test("startLocalProxy refuses targets that are not hosts", async () => {
  await using upstream = await echoProxy();
  await inLocal(upstream.port, async (proxy) => {
    for (const [line, expected] of WRONG_TARGETS) {
      using client = await rawClient(proxy.port);
      client.send(`${line} HTTP/1.1\r\nHost: web.test\r\n\r\n`);
      assertMatch(await client.rest(), expected, line);
    }
    using client = await rawClient(proxy.port);
    client.send(`${CONNECT}Content-Length: 3\r\n\r\nabc`);
    assertMatch(await client.rest(), /400 [^]*CONNECT has no content/);
  });
  assertEquals(upstream.headers, []);
});

test("startLocalProxy cannot be driven by a page of another origin", async () => {
  await using upstream = await echoProxy();
  await inLocal(upstream.port, async (proxy) => {
    const ask = async (fields: string, line = "GET / HTTP/1.1"): Promise<string> => {
      using client = await rawClient(proxy.port);
      client.send(`${line}\r\n${fields}Connection: close\r\n\r\n`);
      return await client.rest();
    };
    const own = `Host: 127.0.0.1:${proxy.port}\r\n`;
    assertMatch(await ask(own), /^HTTP\/1\.1 200 [^]*upstream +localhost:/);
    assertMatch(await ask(`Host: localhost:${proxy.port}\r\n`, "GET /status.json HTTP/1.1"), /"tunnels": 0/);
    // A name that was made to resolve to this machine.
    assertMatch(await ask(`Host: evil.test:${proxy.port}\r\n`), /^HTTP\/1\.1 421 /);
    assertMatch(await ask("Host: 127.0.0.1:1\r\n"), /^HTTP\/1\.1 421 /);
    assertMatch(await ask(`${own}Origin: http://evil.test\r\n`), /^HTTP\/1\.1 403 /);
    assertMatch(await ask(`${own}Sec-Fetch-Site: cross-site\r\n`), /^HTTP\/1\.1 403 /);
    assertMatch(await ask(own, "POST / HTTP/1.1"), /^HTTP\/1\.1 405 /);
    assertMatch(await ask(own, "GET /other HTTP/1.1"), /^HTTP\/1\.1 404 /);
    // A form whose content looks like a request.
    const smuggled = `${CONNECT}\r\n`;
    const text = await ask(
      `${own}Content-Type: text/plain\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
      "POST / HTTP/1.1",
    );
    assert(!text.includes("established"), text);
  });
  assertEquals(upstream.headers, []);
});

test("startLocalProxy with a token serves only clients that know it", async () => {
  await using upstream = await echoProxy();
  const token = "0123456789abcdefghij";
  await inLocal(upstream.port, async (proxy) => {
    const field = (name: string, secret: string) => `${name}: Basic ${btoa(`user:${secret}`)}\r\n`;
    const otherScheme = field("Proxy-Authorization", token).replace("Basic", "Bearer");
    for (
      const wrong of [
        "",
        field("Proxy-Authorization", "wrong"),
        "Proxy-Authorization: Basic !\r\n",
        otherScheme,
      ]
    ) {
      using client = await rawClient(proxy.port);
      client.send(`${CONNECT}${wrong}\r\n`);
      assertMatch(await client.rest(), /^HTTP\/1\.1 407 [^]*Proxy-Authenticate: Basic realm=/);
      using plain = await rawClient(proxy.port);
      plain.send(`GET http://web.test/ HTTP/1.1\r\nHost: a\r\n${wrong}\r\n`);
      assertMatch(await plain.rest(), /^HTTP\/1\.1 407 [^]*Proxy-Authenticate: Basic realm=/);
    }
    using page = await rawClient(proxy.port);
    page.send(`GET / HTTP/1.1\r\nHost: localhost:${proxy.port}\r\n\r\n`);
    assertMatch(await page.rest(), /^HTTP\/1\.1 401 /);
    assertEquals(upstream.headers, []);
    using client = await rawClient(proxy.port);
    client.send(`${CONNECT}${field("Proxy-Authorization", token)}\r\n`);
    await client.until(ESTABLISHED);
  }, { token });
  assert(!upstream.headers.join().includes("Basic"));
});

test("startLocalProxy refuses its own requests that come back", async () => {
  const port = await new Promise<number>((resolve) => {
    const server = createHttp();
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
  await inLocal(port, async (proxy, events) => {
    using client = await rawClient(proxy.port);
    client.send(`${CONNECT}\r\n`);
    assertMatch(await client.rest(), /^HTTP\/1\.1 508 /);
    using plain = await rawClient(proxy.port);
    plain.send("GET http://web.test/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assertMatch(await plain.rest(), /^HTTP\/1\.1 508 /);
    assertEquals(events.filter(({ event }) => event === "failed").length, 1);
  }, { port });
});

test("startLocalProxy goes to the next upstream where one is down, and remembers it", async () => {
  const events: ProxyEvent[] = [];
  const dead = await echoProxy();
  await using alive = await echoProxy();
  await using proxy = await startLocalProxy({
    upstreams: [`http://localhost:${dead.port}`, `http://localhost:${alive.port}`],
    port: 0,
    onEvent: (event) => void events.push(event),
    ...toySignOn(),
  });
  const use = async (): Promise<void> => {
    using client = await rawClient(proxy.port);
    client.send(`${CONNECT}\r\n`);
    await client.until(ESTABLISHED);
    using plain = await rawClient(proxy.port);
    plain.send(
      "POST http://web.test/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc",
    );
    assertMatch(await plain.rest(), /ok$/);
  };
  await use();
  assertEquals([dead.headers.length, alive.headers.length], [2, 0]);
  await dead[Symbol.asyncDispose]();
  await use();
  assertEquals(alive.headers.length, 2);
  assertEquals(proxy.status().upstreams.map(({ down }) => down), [true, false]);
  assertEquals(events.map(({ event }) => event), ["listening", "upstream-down"]);
  assertMatch(events[1].message, /Cannot reach proxy localhost:\d+: .*; trying the next/);
});

test("startLocalProxy answers with what went wrong, and logs it in one line", async () => {
  await using upstream = await writtenProxy((header) =>
    header.includes("forbidden")
      ? "HTTP/1.1 403 No\r\n\r\n"
      : "HTTP/1.1 407 No\r\nProxy-Authenticate: Negotiate\r\n\r\n"
  );
  await inLocal(upstream.port, async (proxy, events) => {
    for (
      const [request, expected] of [
        [`${CONNECT}\r\n`, /^HTTP\/1\.1 502 [^]*refused the token for HTTP\/localhost/],
        ["CONNECT forbidden.test:1 HTTP/1.1\r\nHost: a\r\n\r\n", /^HTTP\/1\.1 403 [^]*ask its administrator/],
        [
          "GET http://web.test/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
          /^HTTP\/1\.1 502 [^]*refused the token/,
        ],
      ] as const
    ) {
      using client = await rawClient(proxy.port);
      client.send(request);
      const text = await client.rest();
      assertMatch(text, expected);
      // A client that is asked would ask its user for a password.
      assert(!/proxy-authenticate/i.test(text), text);
    }
    const failures = events.filter(({ event }) => event === "failed");
    assertEquals(failures.length, 3);
    for (const { message, destination } of failures) {
      assert(!message.includes("\n") && destination !== undefined);
    }
    assertEquals(proxy.status().failed, 3);
  });
});

test(
  "startLocalProxy signs on to a proxy of https://, and sends one that it does not trust nothing",
  async () => {
    const [made, other] = [await makeCertificate(), await makeCertificate()];
    await using upstream = await echoProxy();
    await using front = await watched(createTls(made, (secured) => {
      const far = connect(upstream.port, "127.0.0.1");
      for (const [one, next] of [[secured, far], [far, secured]]) {
        one.on("error", () => next.destroy()).on("close", () => next.destroy()).pipe(next);
      }
    }));
    const upstreams = [`https://localhost:${front.port}`];
    await inLocal(front.port, async (proxy) => {
      using client = await rawClient(proxy.port);
      client.send(`${CONNECT}\r\nechoed`);
      assertMatch(await client.until("echoed"), /^HTTP\/1\.1 200 /);
      using plain = await rawClient(proxy.port);
      plain.send("GET http://web.test/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
      assertMatch(await plain.rest(), /^HTTP\/1\.1 200 [^]*ok$/);
      assertEquals(upstream.headers.length, 2);
      for (const header of upstream.headers) assertMatch(header, /\r\nProxy-Authorization: Negotiate \w/);
    }, { upstreams, ca: made.cert });
    await inLocal(front.port, async (proxy) => {
      using client = await rawClient(proxy.port);
      client.send(`${CONNECT}\r\n`);
      assertMatch(await client.rest(), /^HTTP\/1\.1 502 [^]*certificate/);
      assertEquals(upstream.headers.length, 2);
    }, { upstreams, ca: other.cert });
  },
  { skip: certificatesUnavailable() },
);

test("startLocalProxy answers 504 where a proxy takes the connection and does not answer to CONNECT", async () => {
  await using upstream = await writtenProxy(() => null);
  await inLocal(upstream.port, async (proxy) => {
    using client = await rawClient(proxy.port);
    client.send(`${CONNECT}\r\n`);
    assertMatch(await client.rest(), /^HTTP\/1\.1 504 /);
    while (upstream.sockets.size > 0) await pause();
  }, { connectTimeoutMs: 200 });
});

test("startLocalProxy closes connections beyond maxConnections, and serves again when one has ended", async () => {
  await using upstream = await echoProxy();
  await inLocal(upstream.port, async (proxy) => {
    const first = await rawClient(proxy.port);
    using second = await rawClient(proxy.port);
    for (const client of [first, second]) {
      client.send(`${CONNECT}\r\n`);
      await client.until(ESTABLISHED);
    }
    using third = await rawClient(proxy.port);
    assertEquals(await third.rest(), "");
    first.socket.destroy();
    while (proxy.status().connections > 1) await pause();
    using fourth = await rawClient(proxy.port);
    fourth.send(`${CONNECT}\r\n`);
    await fourth.until(ESTABLISHED);
  }, { maxConnections: 2 });
});

test("startLocalProxy drops answers of status 103 and trailers", async () => {
  await using upstream = await writtenProxy(() =>
    "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" +
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Late: 1\r\n\r\n"
  );
  await inLocal(upstream.port, async (proxy) => {
    using client = await rawClient(proxy.port);
    client.send("GET http://web.test/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    const text = await client.rest();
    assertMatch(text, /^HTTP\/1\.1 200 OK\r\n[^]*\r\n3\r\nabc\r\n0\r\n\r\n$/);
    assert(!/103|Link|X-Late/.test(text), text);
  });
});

test("startLocalProxy passes on no answer with a proxy's token that proves nothing", async () => {
  const forged = btoa("forged");
  await using upstream = await writtenProxy(() =>
    `HTTP/1.1 200 OK\r\nProxy-Authenticate: Negotiate ${forged}\r\nContent-Length: 6\r\n\r\nsecret`
  );
  await inLocal(upstream.port, async (proxy) => {
    using client = await rawClient(proxy.port);
    client.send("GET http://web.test/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    const text = await client.rest();
    assertMatch(text, /^HTTP\/1\.1 502 /);
    assert(!text.includes("secret") && !text.includes(forged), text);
  });
});

test("startLocalProxy reaches this machine and what noProxy lists directly", async () => {
  await using upstream = await echoProxy();
  await using host = await watched(createHttp((request, response) => {
    response.end(`${request.method} ${request.url} ${request.headers["proxy-authorization"]}`);
  }));
  await inLocal(upstream.port, async (proxy) => {
    using client = await rawClient(proxy.port);
    client.send(`GET http://localhost:${host.port}/x?y HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    assertMatch(await client.rest(), /GET \/x\?y undefined/);
    using tunnel = await rawClient(proxy.port);
    tunnel.send(
      `CONNECT 127.0.0.1:${host.port} HTTP/1.1\r\nHost: a\r\n\r\nGET /z HTTP/1.1\r\nHost: a\r\n\r\n`,
    );
    await tunnel.until("GET /z undefined");
  });
  assertEquals(upstream.headers, []);
});

test("startLocalProxy listens on loopback only, and its port may be taken", async () => {
  await using upstream = await echoProxy();
  await inLocal(upstream.port, async (proxy) => {
    const taken = await assertRejects(() =>
      startLocalProxy({ upstreams: [`http://localhost:${upstream.port}`], port: proxy.port, ...toySignOn() })
    ) as Error & { codeName: string };
    assertEquals([taken.name, taken.codeName], ["TransportError", "EADDRINUSE"]);
    assertMatch(taken.message, /Is it running already\?/);
    await assertRejects(() => rawClient(proxy.port, "::1"));
  });
});

test("startLocalProxy closes tunnels and connections, and lets requests end within the time of grace", async () => {
  let answer: (() => void) | undefined;
  await using upstream = await writtenProxy((header, socket) => {
    if (header.startsWith("CONNECT")) return "HTTP/1.1 200 OK\r\n\r\n";
    answer = () => socket.write(OK);
    return null;
  });
  await inLocal(upstream.port, async (proxy) => {
    using plain = await rawClient(proxy.port);
    plain.send("GET http://web.test/ HTTP/1.1\r\nHost: a\r\n\r\n");
    while (answer === undefined) await pause();
    const closing = proxy.close(60_000);
    await assertRejects(() => rawClient(proxy.port));
    answer();
    assertMatch(await plain.until(/ok$/), /200 OK/);
    plain.socket.end();
    await closing;
    await proxy.close();
  });
  await inLocal(upstream.port, async (proxy) => {
    using tunnel = await rawClient(proxy.port);
    tunnel.send(`${CONNECT}\r\n`);
    await tunnel.until(ESTABLISHED);
    await proxy.close();
    assertEquals(await tunnel.rest(), ESTABLISHED);
  });
});

const WRONG: readonly [Partial<Record<keyof LocalProxyOptions, unknown>>, RegExp][] = [
  [{ upstreams: [] }, /either upstreams, with at least one proxy, or pac/],
  [{ pac: "http://a.test/" }, /either upstreams, with at least one proxy, or pac/],
  [{ upstreams: "http://a.test" }, /list of URLs/],
  [{ upstreams: [{ proxy: "http://10.0.0.1:1" }] }, /upstreams\[0\]\.proxy 10\.0\.0\.1 is an IP address/],
  [{ upstreams: [{ proxy: "http://a.test", nosuch: 1 }] }, /nosuch is not known/],
  [{ upstreams: [], pac: "http://user:secret@a.test/proxy.pac" }, /pac must not contain a user name/],
  [{ access: "all" }, /one of loopback, host, gateway/],
  [{ access: "gateway" }, /must name the networks/],
  [{ access: "gateway", allow: ["10.0.0.0/33"] }, /not a network/],
  [{ allow: ["10.0.0.0/8"] }, /only with access: "gateway"/],
  [{ token: "short" }, /16 to 256 visible/],
  [{ noProxy: ["a b"] }, /noProxy contains "a b"/],
  [{ port: 70_000 }, /from 0 to 65535/],
  [{ nosuch: 1 } as never, /nosuch is not known/],
];

test("startLocalProxy refuses wrong options", async () => {
  for (const [wrong, message] of WRONG) {
    const options = { upstreams: ["http://a.test"], port: 0, ...toySignOn(), ...wrong } as LocalProxyOptions;
    const error = await startLocalProxy(options).catch((error) => error);
    assert(error instanceof TypeError || error instanceof RangeError, String(error));
    assertMatch(error.message, message);
  }
});
