/** startLocalProxy() between real programs: curl, git, npm and pip in front of it, Squid and Apache behind it. */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttp, type RequestListener } from "node:http";
import { createServer as createHttps } from "node:https";
import { lookup } from "node:dns/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { connect as connectTls } from "node:tls";
import { assert, assertEquals, assertMatch } from "@std/assert";
import { test } from "@test";
import { type LocalProxy, startLocalProxy } from "../../../http/proxy/local.ts";
import type { LocalProxyOptions, ProxyEvent } from "../../../http/proxy/local_options.ts";
import { connectThroughProxy } from "../../../http/proxy/tunnel.ts";
import { findProgram, run } from "../../../scripts/process.ts";
import { apacheUnavailable, startApache } from "../../rig/apache.ts";
import { makeCertificate } from "../../rig/certificates.ts";
import { applyEnvironment, type Realm } from "../../rig/realm.ts";
import { SQUIDS_HOST, squidUnavailable, startSquid } from "../../rig/squid.ts";
import { inRealm, noRealm } from "../../support/kerberos.ts";
import { rawClient, watched } from "../../support/http_proxy.ts";

const noSquid = noRealm ?? squidUnavailable();
const without = (...programs: string[]): string | null => {
  const missing = programs.filter((name) => findProgram(name) === null);
  return noSquid ??
    (missing.length === 0 ? null : `it needs ${missing.join(", ")}: install ${missing.join(" ")}`);
};

/** Runs `body` with Squid, which asks for Negotiate, and a local proxy in front of it. */
async function inSquid(
  body: (
    proxy: LocalProxy,
    of: { realm: Realm; events: ProxyEvent[]; log: () => string; folder: string },
  ) => Promise<void>,
  options: Partial<LocalProxyOptions> = {},
): Promise<void> {
  await inRealm(async (realm, system) => {
    await using squid = await startSquid(realm);
    const events: ProxyEvent[] = [];
    const folder = mkdtempSync(join(tmpdir(), "secure-sockets-proxy-"));
    try {
      await using proxy = await startLocalProxy({
        upstreams: [`http://localhost:${squid.port}`],
        port: 0,
        system,
        onEvent: (event) => void events.push(event),
        ...options,
      });
      await body(proxy, { realm, events, log: squid.log, folder });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
}

/** What curl prints: the content, and the statuses of the answer and of CONNECT in the last line. */
async function curl(realm: Realm, args: readonly string[]): Promise<string> {
  const all = ["-sS", "-k", "-m", "20", "-w", "\n%{http_code} %{http_connect}", ...args];
  const { stdout, stderr } = await run(findProgram("curl")!, all, {
    env: { ...realm.env, NO_PROXY: "", no_proxy: "" },
  });
  return stdout + stderr;
}

/** Waits until a proxy's log has a line: it is written when a tunnel ends. */
async function logged(log: () => string, line: RegExp): Promise<void> {
  for (let tried = 0; !line.test(log()) && tried < 200; tried++) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assertMatch(log(), line);
}

function web(serve: RequestListener) {
  return watched(createHttp(serve));
}

async function secureWeb(serve: RequestListener) {
  return await watched(createHttps(await makeCertificate(), serve));
}

test(
  "startLocalProxy serves curl: https, http, uploads, Expect, HTTP/1.0, as curl itself signs on to Squid",
  async () => {
    await inSquid(async (proxy, { realm, log }) => {
      const echo: RequestListener = (request, response) => {
        let bytes = 0;
        request.on("data", (chunk: Uint8Array) => bytes += chunk.length);
        request.on(
          "end",
          () => response.end(`${request.method} ${bytes} ${request.headers["proxy-authorization"]}`),
        );
      };
      await using plain = await web(echo);
      await using secure = await secureWeb(echo);
      const http = `http://${SQUIDS_HOST}:${plain.port}/`;
      const https = `https://${SQUIDS_HOST}:${secure.port}/`;
      const through = ["-x", proxy.url];
      assertEquals(await curl(realm, [...through, https]), "GET 0 undefined\n200 200");
      assertEquals(await curl(realm, [...through, http]), "GET 0 undefined\n200 000");
      assertEquals(await curl(realm, [...through, "-0", http]), "GET 0 undefined\n200 000");
      assertEquals(
        await curl(realm, [...through, "--proxy1.0", proxy.url, https]),
        "GET 0 undefined\n200 200",
      );
      const content = ["-H", "Expect: 100-continue", "--data-binary", "@-"];
      const upload = async (url: string, more: string[] = []): Promise<string> => {
        const args = ["-sS", "-k", "-m", "30", ...through, ...content, ...more, url];
        return (await run(findProgram("curl")!, args, { input: "x".repeat(3_000_000) })).stdout;
      };
      assertEquals(await upload(http), "POST 3000000 undefined");
      assertEquals(await upload(http, ["-H", "Transfer-Encoding: chunked"]), "POST 3000000 undefined");
      assertEquals(await upload(https), "POST 3000000 undefined");
      // A password that the client sends stays here.
      assertEquals(await curl(realm, [...through, "-U", "bob:secret", https]), "GET 0 undefined\n200 200");
      // The reference.
      const direct = ["-x", proxy.status().upstreams[0].name, "--proxy-negotiate", "-U", ":"];
      assertEquals(await curl(realm, [...direct, https]), "GET 0 undefined\n200 200");
      const users = log().split("\n").filter((line) => /\/200 /.test(line)).map((line) =>
        line.split(/\s+/)[7]
      );
      assertEquals(
        users,
        users.map(() => "alice"),
      );
      assert(users.length >= 9, log());
      assertMatch(await curl(realm, [...through, `https://${SQUIDS_HOST}:1/`]), /000 503/);
    });
  },
  { skip: without("curl") ?? apacheUnavailable() },
);

/** Serves the files of a folder by https, and counts requests. */
function files(folder: string) {
  return secureWeb((request, response) => {
    const path = join(folder, decodeURIComponent(new URL(request.url!, "http://a").pathname));
    const file = [path, join(path, "index.html")].find((name) => existsSync(name) && !name.endsWith("/"));
    try {
      if (file!.endsWith(".html")) response.setHeader("Content-Type", "text/html");
      response.end(readFileSync(file!));
    } catch {
      response.writeHead(404).end();
    }
  });
}

/** The variables by which programs find the proxy. */
function proxyEnv({ url }: LocalProxy, folder: string): Record<string, string> {
  const env: Record<string, string> = { NO_PROXY: "", no_proxy: "", HOME: folder };
  for (const name of ["HTTPS_PROXY", "HTTP_PROXY", "https_proxy", "http_proxy"]) env[name] = url;
  return env;
}

test("startLocalProxy serves git: a clone by https", async () => {
  await inSquid(async (proxy, { log, folder }) => {
    const git = (args: string[], env: Record<string, string> = {}) =>
      run(findProgram("git")!, args, {
        env: { HOME: folder, GIT_CONFIG_NOSYSTEM: "1", GIT_SSL_NO_VERIFY: "1", ...env },
        cwd: folder,
      });
    await git(["init", "-q", "work"]);
    writeFileSync(join(folder, "work", "file"), "content");
    const who = ["-c", "user.name=a", "-c", "user.email=a@example.test"];
    await git(["-C", "work", "add", "file"]);
    await git([...who, "-C", "work", "commit", "-qm", "first"]);
    await git(["clone", "-q", "--bare", "work", "repo.git"]);
    await git(["-C", "repo.git", "update-server-info"]);
    await using server = await files(folder);
    const url = `https://${SQUIDS_HOST}:${server.port}/repo.git`;
    const { code, stderr } = await git(["clone", "-q", url, "copy"], proxyEnv(proxy, folder));
    assertEquals([code, stderr], [0, ""]);
    assertEquals(readFileSync(join(folder, "copy", "file"), "utf8"), "content");
    await logged(log, /TCP_TUNNEL\/200 .* alice /);
  });
}, { skip: without("git") ?? apacheUnavailable() });

test("startLocalProxy serves npm: a package is installed from a registry by https", async () => {
  await inSquid(async (proxy, { log, folder }) => {
    mkdirSync(join(folder, "package"));
    writeFileSync(join(folder, "package", "package.json"), '{"name":"small","version":"1.0.0"}');
    const tgz = join(folder, "small.tgz");
    const tar = await run(findProgram("tar")!, ["-czf", tgz, "-C", folder, "package"], {});
    assertEquals(tar.code, 0);
    const sha = createHash("sha512").update(readFileSync(tgz)).digest("base64");
    await using server = await secureWeb((request, response) => {
      if (request.url === "/small.tgz") return response.end(readFileSync(tgz));
      const tarball = `https://${SQUIDS_HOST}:${(request.socket.localPort)}/small.tgz`;
      const dist = { tarball, integrity: `sha512-${sha}` };
      const versions = { "1.0.0": { name: "small", version: "1.0.0", dist } };
      response.setHeader("Content-Type", "application/json");
      response.end(JSON.stringify({ name: "small", "dist-tags": { latest: "1.0.0" }, versions }));
    });
    const registry = `https://${SQUIDS_HOST}:${server.port}/`;
    const target = join(folder, "app");
    mkdirSync(target);
    writeFileSync(join(target, "package.json"), "{}");
    const args = [
      "install",
      "small",
      "--strict-ssl=false",
      "--no-audit",
      "--no-fund",
      `--registry=${registry}`,
    ];
    const { code, stderr } = await run(findProgram("npm")!, [...args, `--cache=${folder}/cache`], {
      cwd: target,
      env: { ...proxyEnv(proxy, folder), NODE_NO_WARNINGS: "1" },
    });
    assertEquals(code, 0, stderr);
    assert(existsSync(join(target, "node_modules", "small", "package.json")));
    await logged(log, /TCP_TUNNEL\/200 .* alice /);
  });
}, { skip: without("npm", "tar") ?? apacheUnavailable() });

test("startLocalProxy serves pip: a wheel is downloaded from an index by https", async () => {
  await inSquid(async (proxy, { log, folder }) => {
    const wheel = "small-1.0-py3-none-any.whl";
    mkdirSync(join(folder, "simple", "small"), { recursive: true });
    const info = "Metadata-Version: 2.1\\nName: small\\nVersion: 1.0\\n";
    const kind = "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n";
    const make = `import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as z:
    for name, text in {"METADATA": "${info}", "WHEEL": "${kind}", "RECORD": ""}.items():
        z.writestr("small-1.0.dist-info/" + name, text)`;
    const python = findProgram("python3")!;
    assertEquals((await run(python, ["-c", make, join(folder, "simple", "small", wheel)], {})).code, 0);
    writeFileSync(join(folder, "simple", "small", "index.html"), `<a href="${wheel}">${wheel}</a>`);
    await using server = await files(folder);
    const args = [
      "-m",
      "pip",
      "download",
      "-q",
      "--no-deps",
      "--no-cache-dir",
      "--disable-pip-version-check",
    ];
    const index = ["--index-url", `https://${SQUIDS_HOST}:${server.port}/simple/`, "--trusted-host"];
    const { code, stderr } = await run(
      python,
      [...args, ...index, `${SQUIDS_HOST}:${server.port}`, "small"],
      {
        cwd: folder,
        env: { ...proxyEnv(proxy, folder), HOME: process.env.HOME ?? "/", PIP_CONFIG_FILE: "/dev/null" },
      },
    );
    assertEquals(code, 0, stderr);
    assert(existsSync(join(folder, wheel)));
    await logged(log, /TCP_TUNNEL\/200 .* alice /);
  });
}, { skip: without("python3") ?? noPip() ?? apacheUnavailable() });

function noPip(): string | null {
  const home = findProgram("pip") ?? findProgram("pip3");
  return home === null ? "pip is missing: install python3-pip" : null;
}

test(
  "startLocalProxy serves WebSockets: through CONNECT, as browsers do, with frames in both directions",
  async () => {
    await inSquid(async (proxy) => {
      const server = createHttp();
      server.on("upgrade", (request, socket) => {
        const key = `${request.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`;
        const accept = createHash("sha1").update(key).digest("base64");
        socket.write(
          `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
        );
        // A short masked text is returned without its mask.
        socket.on("data", (frame: Buffer) => {
          const text = frame.subarray(6).map((byte, at) => byte ^ frame[2 + at % 4]);
          socket.write(Buffer.concat([Buffer.from([0x81, text.length]), text]));
        });
        socket.on("end", () => socket.end());
      });
      await using listening = await watched(server);
      using client = await rawClient(proxy.port);
      const host = `${SQUIDS_HOST}:${listening.port}`;
      client.send(`CONNECT ${host} HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      await client.until("established\r\n\r\n");
      client.send(
        `GET /chat HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
          "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
      );
      await client.until("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
      client.socket.write(Buffer.from([
        0x81,
        0x85,
        1,
        2,
        3,
        4,
        ..."hello".split("").map((c, at) => c.charCodeAt(0) ^ [1, 2, 3, 4][at % 4]),
      ]));
      await client.until("\x81\x05hello");
    });
  },
  { skip: noSquid },
);

/** Asks a local proxy for a tunnel to a port where something listens. */
async function status(proxy: LocalProxy, port: number): Promise<string> {
  using client = await rawClient(proxy.port);
  client.send(`CONNECT ${SQUIDS_HOST}:${port} HTTP/1.1\r\nHost: a\r\n\r\n`);
  const text = await client.until(/\r\n\r\n/);
  return text.startsWith("HTTP/1.1 200") ? "200" : await client.rest();
}

test(
  "startLocalProxy works as soon as there is a ticket, and sees it expire, come back and change",
  async () => {
    await inSquid(async (proxy, { realm, events, log, folder }) => {
      await using host = await web((_, response) => response.end());
      const cache = `DIR:${join(folder, "caches")}`;
      mkdirSync(join(folder, "caches"), { mode: 0o700 });
      const restore = applyEnvironment({ KRB5CCNAME: cache, KRB5_CLIENT_KTNAME: join(folder, "none") });
      try {
        assertMatch(await status(proxy, host.port), /^HTTP\/1\.1 502 [^]*kinit/);
        const failure = events.find(({ event }) => event === "failed")!;
        assertMatch(failure.message, /kinit/);
        await realm.kinit("alice", { cache, lifetime: "4s" });
        assertEquals(await status(proxy, host.port), "200");
        let text = "200";
        for (let tried = 0; text === "200" && tried < 100; tried++) {
          await new Promise((resolve) => setTimeout(resolve, 200));
          text = await status(proxy, host.port);
        }
        assertMatch(text, /^HTTP\/1\.1 502 [^]*kinit/);
        await realm.kinit("alice", { cache });
        assertEquals(await status(proxy, host.port), "200");
        assert(!log().includes(" bob "));
        // kinit makes the new cache the primary one of the collection.
        await realm.kinit("bob", { cache });
        for (let tried = 0; !log().includes(" bob ") && tried < 100; tried++) {
          await new Promise((resolve) => setTimeout(resolve, 200));
          assertEquals(await status(proxy, host.port), "200");
        }
        assertMatch(log(), / bob /);
      } finally {
        restore();
      }
    });
  },
  { skip: noSquid },
);

test("startLocalProxy goes on through a second Squid when the first one ends", async () => {
  await inRealm(async (realm, system) => {
    await using first = await startSquid(realm);
    await using second = await startSquid(realm);
    await using host = await web((_, response) => response.end());
    await using proxy = await startLocalProxy({
      upstreams: [first, second].map(({ port }) => `http://localhost:${port}`),
      port: 0,
      system,
    });
    assertEquals(await status(proxy, host.port), "200");
    await logged(first.log, /CONNECT .* alice /);
    await first[Symbol.asyncDispose]();
    assertEquals(await status(proxy, host.port), "200");
    assertEquals(await status(proxy, host.port), "200");
    assertEquals(proxy.status().upstreams.map(({ down }) => down), [true, false]);
    await logged(second.log, /CONNECT .* alice [^]*CONNECT .* alice /);
  });
}, { skip: noSquid });

test("connectThroughProxy reaches Apache's https through Apache as a proxy, for TLS", async () => {
  await inRealm(async (realm, system) => {
    await using apache = await startApache(realm);
    const proxy = `http://localhost:${apache.proxyPort}`;
    const socket = await connectThroughProxy({ proxy, host: "localhost", port: apache.securePort, system });
    const secured = connectTls({ socket, servername: "localhost", ca: apache.ca });
    secured.write("GET /open/hello.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let text = "";
    for await (const chunk of secured) text += chunk;
    assertMatch(text, /^HTTP\/1\.1 200 OK[^]*hello\n$/);
  });
}, { skip: noRealm ?? apacheUnavailable() });

test("startLocalProxy verifies the token with which Apache proves itself", async () => {
  const address = await lookup(hostname()).then(({ address }) => address, () => null);
  if (address === null) return console.log(`SKIP: ${hostname()} has no address`);
  await inRealm(async (realm, system) => {
    await using apache = await startApache(realm);
    const server = createHttp((request, response) => response.end(`${request.url}`));
    await new Promise<void>((resolve) => server.listen(0, resolve));
    const { port } = server.address() as { port: number };
    try {
      await using proxy = await startLocalProxy({
        upstreams: [`http://localhost:${apache.proxyPort}`],
        port: 0,
        system,
      });
      using client = await rawClient(proxy.port);
      client.send(`GET http://${hostname()}:${port}/path HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
      const text = await client.rest();
      assertMatch(text, /^HTTP\/1\.1 200 [^]*\/path/);
      assert(!/proxy-auth/i.test(text), text);
    } finally {
      server.close();
      server.closeAllConnections();
    }
  });
}, { skip: noRealm ?? apacheUnavailable() });
