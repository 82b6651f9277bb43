/** What negotiateFetch() does as a fetch: arguments, redirects, bodies, aborts, and connections over TLS. */

import { X509Certificate } from "node:crypto";
import { createServer, type Socket } from "node:net";
import { Readable } from "node:stream";
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from "node:zlib";
import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { test } from "@test";
import { formatToken } from "../../http/fields.ts";
import { negotiateFetch } from "../../http/client/fetch.ts";
import { certificatesUnavailable, makeCertificate } from "../rig/certificates.ts";
import { createRegistry, ntHash, ntlm, openAcceptor } from "../../mod.ts";
import { ask, type Handler, hostileServer, toyEnds } from "../support/hostile_http.ts";
import { toySystem } from "../support/toy_provider.ts";

const noCertificates = certificatesUnavailable();

test("negotiateFetch() refuses wrong options, and says how they are right", () => {
  const origins = ["https://a.test"];
  const wrong: [options: unknown, words: RegExp][] = [
    [undefined, /options must be an object/],
    [{}, /origins must list/],
    [{ origins: [] }, /origins must list/],
    [{ origins: ["*"] }, /origins\[0\] is every origin/],
    [{ origins: ["https://*"] }, /has \* where/],
    [{ origins: ["https://a.*.test"] }, /has \* where/],
    [{ origins: ["https://*."] }, /has \* where|not an origin/],
    [{ origins: ["a.test"] }, /not an origin of http/],
    [{ origins: ["ftp://a.test"] }, /not an origin of http/],
    [{ origins: ["https://a.test/x"] }, /more than an origin/],
    [{ origins: ["https://a.test/?x"] }, /more than an origin/],
    [{ origins: ["https://u:p@a.test"] }, /user name or a password/],
    [{ origins: ["https://127.0.0.1"] }, /origins\[0\] is an IP address/],
    [{ origins: ["https://[::1]:80"] }, /origins\[0\] is an IP address/],
    [{ origins: [7] }, /is 7, not an origin/],
    [{ origins, target: "HTTP/a.test" }, /options.target must be a function/],
    [{ origins, channelBindings: "always" }, /channelBindings must be one of whenAvailable/],
    [{ origins, preemptive: true }, /preemptive must be one of/],
    [{ origins, allowHttp: 1 }, /allowHttp must be true or false/],
    [{ origins, ca: 1 }, /options.ca must be/],
    [{ origins, ca: [] }, /options.ca must be/],
    [{ origins, registry: {} }, /options.registry must have/],
    [{ origins, system: {} }, /options.system must have/],
    [{ origins, credentials: { user: "x" } }, /credentials/],
    [{ origins, requirements: { delegation: 1 } }, /delegation/],
    [{ origins, mutual: true }, /options.mutual is not known/],
  ];
  for (const [options, words] of wrong) {
    const error = assertThrows(() => negotiateFetch(options as { origins: string[] }), TypeError);
    assertMatch(error.message, words);
  }
});

test("negotiateFetch() refuses wrong arguments before a request", async () => {
  await using ends = await toyEnds();
  await using server = await hostileServer((_, response) => response.end());
  const signedOn = ends.client([server.origin]);
  const wrong: [input: string | URL, init: RequestInit, words: RegExp][] = [
    ["no url", {}, /URL|url/],
    ["ftp://localhost/", {}, /http or https/],
    [server.origin.replace("//", "//u:p@"), {}, /user name or a password/],
    [server.origin, { headers: { authorization: "Bearer x" } }, /must not have authorization/],
    [server.origin, { headers: { host: "other.test" } }, /must not have host/],
    [server.origin, { headers: { "Transfer-Encoding": "chunked" } }, /must not have transfer-encoding/],
    [server.origin, { integrity: "sha256-x" }, /integrity/],
    [server.origin, { method: "GET", body: "x" }, /./],
  ];
  for (const [input, init, words] of wrong) {
    assertMatch((await assertRejects(() => signedOn(input, init), TypeError)).message, words);
  }
  const elsewhere = ends.client([server.origin], { target: () => "no target" });
  assertMatch(
    (await assertRejects(() => elsewhere(server.origin), TypeError)).message,
    /result of options.target/,
  );
  assertEquals(server.seen.length, 0);
  // To other origins it is a fetch like any other.
  const other = ends.client(["https://*.example.test"]);
  assertEquals((await other(server.origin, { headers: { authorization: "Bearer x" } })).status, 200);
  assertEquals(server.seen[0].headers.authorization, "Bearer x");
});

test("negotiateFetch() signs on to listed origins only: exact ones, and hosts below a domain", async () => {
  await using ends = await toyEnds();
  await using server = await hostileServer((_, response) => ask(response));
  const { port } = new URL(server.origin);
  const asks = async (
    origins: readonly string[],
    url: string,
    target?: (url: URL) => string,
  ): Promise<number> => {
    const before = server.seen.length;
    await (await ends.client(origins, { target })(url)).text();
    return server.seen.length - before;
  };
  const local = `http://localhost:${port}`;
  assertEquals(await asks([local], `${local}/x`), 2);
  assertEquals(await asks([`http://LOCALHOST:${port}`], `http://LocalHost:${port}/x`), 2);
  assertEquals(await asks(["http://localhost"], local), 1);
  assertEquals(await asks([`https://localhost:${port}`], local), 1);
  assertEquals(await asks([`http://*.localhost:${port}`], local), 1);
  assertEquals(await asks([local], `http://127.0.0.1:${port}`), 1);
  const addressed = `http://127.0.0.1:${port}`;
  assertEquals(await asks([addressed], addressed, ({ hostname }) => `HTTP/host-${hostname}`), 2);
});

/** A server that signs every request on, and answers with `then`. */
function signingOn(ends: Awaited<ReturnType<typeof toyEnds>>, then: Handler): Handler {
  return async (seen, response) => {
    if (seen.token === null) return ask(response);
    response.setHeader("www-authenticate", await ends.prove(seen.token));
    await then(seen, response);
  };
}

test("negotiateFetch() follows redirects by the rules, and takes nothing across origins", async () => {
  await using ends = await toyEnds();
  const answer: Handler = ({ method, text, headers }, response) =>
    response.end([method, text, headers.cookie ?? "", headers["content-type"] ?? ""].join("|"));
  await using other = await hostileServer(answer);
  await using server = await hostileServer(signingOn(ends, (seen, response) => {
    const [, status, where] = /^\/(\d+)\/(.*)$/.exec(seen.url) ?? [];
    if (status === undefined) return answer(seen, response);
    response.writeHead(Number(status), { location: where === "other" ? `${other.origin}/` : where }).end(
      "moved",
    );
  }));
  const signedOn = ends.client([server.origin]);
  const init = { method: "POST", body: "the body", headers: { cookie: "c=1" } };
  const go = async (path: string, more: RequestInit = {}) => {
    const response = await signedOn(`${server.origin}${path}`, { ...init, ...more });
    return [await response.text(), response.redirected, new URL(response.url).pathname];
  };
  const type = "text/plain;charset=UTF-8";
  assertEquals(await go("/here"), [`POST|the body|c=1|${type}`, false, "/here"]);
  for (const status of [301, 302, 303]) {
    assertEquals(await go(`/${status}//here`), ["GET||c=1|", true, "/here"]);
  }
  for (const status of [307, 308]) {
    assertEquals(await go(`/${status}//here`), [`POST|the body|c=1|${type}`, true, "/here"]);
  }
  assertEquals(await go("/301//here", { method: "PUT" }), [`PUT|the body|c=1|${type}`, true, "/here"]);
  assertEquals((await go("/303//here", { method: "HEAD", body: undefined }))[0], "");
  assertEquals(await go("/307/other"), [`POST|the body||${type}`, true, "/"]);
  assert(other.seen.every(({ headers }) => headers.authorization === undefined));
  const last = await signedOn(`${server.origin}/302/other`);
  assertEquals([await last.text(), signedOn.security(last)], ["GET|||", null]);

  const manual = await signedOn(`${server.origin}/302/other`, { redirect: "manual" });
  assertEquals([manual.status, await manual.text(), signedOn.security(manual)?.mechanism], [
    302,
    "moved",
    "toy",
  ]);
  const refused: [path: string, init: RequestInit, words: RegExp][] = [
    ["/302//here", { redirect: "error" }, /redirect is "error"/],
    ["/302/javascript:x", {}, /not http or https/],
    ["/302/http://[", {}, /not http or https/],
    ["/302/http://u:p@localhost/", {}, /user name or password/],
  ];
  for (const [path, more, words] of refused) {
    assertMatch((await assertRejects(() => signedOn(`${server.origin}${path}`, more), Error)).message, words);
  }
  const stream = { method: "POST", body: new Blob(["x"]).stream(), duplex: "half" } as RequestInit;
  await assertRejects(
    () => signedOn(`${server.origin}/307//here`, stream),
    TypeError,
    "cannot be sent twice",
  );
  await using circle = await hostileServer((_, response) => response.writeHead(302, { location: "/" }).end());
  await assertRejects(() => signedOn(circle.origin), Error, "More than 20 redirects");
  assertEquals(circle.seen.length, 21);
});

test("negotiateFetch() decodes gzip, deflate and br, and leaves other codings alone", async () => {
  await using ends = await toyEnds();
  const text = "what was compressed ".repeat(5000);
  const codings: [coding: string, bytes: Uint8Array][] = [
    ["gzip", gzipSync(text)],
    ["x-gzip", gzipSync(text)],
    ["deflate", deflateSync(text)],
    ["deflate", deflateRawSync(text)],
    ["br", brotliCompressSync(text)],
    ["deflate, gzip", gzipSync(deflateSync(text))],
    ["identity", new TextEncoder().encode(text)],
  ];
  let [coding, bytes] = codings[0];
  await using server = await hostileServer((_, response) => {
    response.writeHead(200, { "content-encoding": coding, "content-length": bytes.length }).end(bytes);
  });
  const signedOn = ends.client([server.origin]);
  for ([coding, bytes] of codings) {
    const response = await signedOn(server.origin);
    assertEquals(await response.text(), text, coding);
    assertEquals(response.headers.has("content-length"), coding === "identity");
  }
  assertEquals(server.seen[0].headers["accept-encoding"], "gzip, deflate, br");
  [coding, bytes] = ["zstd", Uint8Array.of(1, 2, 3)];
  const unknown = await signedOn(server.origin, {
    headers: { "accept-encoding": "zstd", range: "bytes=0-2" },
  });
  assertEquals([...new Uint8Array(await unknown.arrayBuffer())], [1, 2, 3]);
  assertEquals([unknown.headers.get("content-encoding"), server.seen.at(-1)!.headers["accept-encoding"]], [
    "zstd",
    "zstd",
  ]);
  [coding, bytes] = [Array(6).fill("gzip").join(), Uint8Array.of(1)];
  await assertRejects(() => signedOn(server.origin), Error, "has 6 content codings; the limit is 5");
  [coding, bytes] = ["gzip", gzipSync(text).subarray(0, 60)];
  await assertRejects(async () => (await signedOn(server.origin)).text(), Error, "cannot be decoded");
});

test("negotiateFetch() decodes no more than its caller reads, however much a few bytes become", async () => {
  await using ends = await toyEnds();
  const much = new Uint8Array(32 * 1024 * 1024);
  const codings: [coding: string, bytes: Uint8Array][] = [
    ["gzip", gzipSync(much)],
    ["deflate", deflateSync(much)],
    ["deflate", deflateRawSync(much)],
    ["br", brotliCompressSync(much)],
  ];
  let [coding, bytes] = codings[0];
  await using server = await hostileServer((_, response) => {
    response.writeHead(200, { "content-encoding": coding }).end(bytes);
  });
  const signedOn = ends.client([server.origin]);
  const { push } = Readable.prototype;
  let made = 0;
  Readable.prototype.push = function (chunk, encoding) {
    made += chunk?.length ?? 0;
    return push.call(this, chunk, encoding);
  };
  try {
    for ([coding, bytes] of codings) {
      made = 0;
      const reader = (await signedOn(server.origin)).body!.getReader();
      let read = (await reader.read()).value!.length;
      for (let before = -1; before !== made;) {
        before = made;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      assert(made < 4 * 1024 * 1024, `${coding}: ${made}`);
      for (let part = await reader.read(); !part.done; part = await reader.read()) read += part.value.length;
      assertEquals(read, much.length, coding);
    }
  } finally {
    Readable.prototype.push = push;
  }
});

test("negotiateFetch() streams: the caller's pace is the server's, and cancelling closes the connection", async () => {
  await using ends = await toyEnds();
  let written = 0;
  await using server = await hostileServer(signingOn(ends, async (_, response) => {
    const chunk = new Uint8Array(64 * 1024);
    const gone = new Promise<void>((resolve) => response.once("close", resolve));
    for (; written < 4000 && !response.destroyed; written++) {
      if (response.write(chunk)) continue;
      await Promise.race([gone, new Promise<void>((resolve) => response.once("drain", resolve))]);
    }
  }));
  const response = await ends.client([server.origin])(server.origin);
  const reader = response.body!.getReader();
  for (let count = 0; count < 5; count++) assert((await reader.read()).value!.length > 0);
  // Until the server waits, too.
  for (let before = -1; before !== written;) {
    before = written;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert(written < 1000, `${written} chunks`);
  await reader.cancel();
  await server.idle();
  assert(written < 1000, `${written} chunks`);
});

test("negotiateFetch() waits for 100 Continue where the caller expects it", async () => {
  const events: string[] = [];
  const server = createServer((socket: Socket) => {
    let got = "";
    socket.on("error", () => {}).on("data", (data) => {
      got += data;
      if (got.startsWith("POST /refuse")) {
        events.push(`refused with ${got.split("\r\n\r\n")[1].length} bytes`);
        return socket.end("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n");
      }
      if (events.length === 0) {
        events.push(`asked with ${got.split("\r\n\r\n")[1].length} bytes`);
        socket.write("HTTP/1.1 100 Continue\r\n\r\n");
      } else if (got.endsWith("the body")) {
        events.push("got the body");
        socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://localhost:${(server.address() as { port: number }).port}`;
  await using ends = await toyEnds();
  const signedOn = ends.client([origin]);
  const init = { method: "POST", body: "the body", headers: { expect: "100-continue" } };
  assertEquals((await signedOn(origin, init)).status, 200);
  assertEquals((await signedOn(`${origin}/refuse`, init)).status, 417);
  assertEquals(events, ["asked with 0 bytes", "got the body", "refused with 0 bytes"]);
  await new Promise((resolve) => server.close(resolve));
});

test("negotiateFetch() stops at every wait when its signal is aborted, with the reason unchanged", async () => {
  const reason = { the: "reason" };
  const abort = new AbortController();
  /** Resolves, when aborted, with what rejected. */
  const stops = async (run: (signal: AbortSignal, stop: () => void) => Promise<unknown>): Promise<void> => {
    const controller = new AbortController();
    const outcome = await run(controller.signal, () => controller.abort(reason)).then(
      () => "it did not stop",
      (error) => error,
    );
    assertEquals(outcome, reason);
  };
  const never = Promise.withResolvers<void>();
  for (const step of ["acquire", "step"]) {
    let stop = (): void => {};
    const wait = (): Promise<void> => (stop(), step === "acquire" ? never.promise : Promise.resolve());
    const onStep = (role: string): Promise<void> => {
      if (role === "client" && step === "step") stop();
      return Promise.resolve();
    };
    await using ends = await toyEnds({
      onStep,
      onAcquire: ({ role }) => role === "client" ? wait() : undefined,
    });
    await using server = await hostileServer((_, response) => ask(response));
    const signedOn = ends.client([server.origin]);
    await stops((signal, now) => {
      stop = now;
      return signedOn(server.origin, { signal });
    });
    never.resolve();
    await server.idle();
  }
  await using ends = await toyEnds();
  const waits: [what: string, handler: (stop: () => void) => Handler][] = [
    ["the first answer", (stop) => () => stop()],
    ["the body of a 401", (stop) => (_, response) => {
      response.writeHead(401, { "www-authenticate": "Negotiate" }).write("a");
      stop();
    }],
    ["the answer to the token", (stop) => ({ token }, response) => token ? stop() : ask(response)],
    ["the body", (stop) =>
      signingOn(ends, (_, response) => {
        response.write("a part");
        setTimeout(stop, 20);
      })],
  ];
  for (const [what, handler] of waits) {
    await stops(async (signal, stop) => {
      await using server = await hostileServer(handler(stop));
      try {
        await (await ends.client([server.origin])(server.origin, { signal })).text();
      } finally {
        await server.idle();
      }
    }).catch((error) => {
      throw new Error(`${what}: ${error}`);
    });
  }
  // A server that takes the connection and never begins TLS.
  const silent = createServer((socket) => void socket.on("error", () => {}).resume());
  await new Promise<void>((resolve) => silent.listen(0, "127.0.0.1", resolve));
  const origin = `https://localhost:${(silent.address() as { port: number }).port}`;
  await stops((signal, stop) => {
    silent.once("connection", stop);
    return ends.client([origin])(origin, { signal });
  });
  await new Promise((resolve) => silent.close(resolve));
  abort.abort(reason);
  await stops((_, __) => ends.client(["http://a.test"])("http://a.test/", { signal: abort.signal }));
});

test("close() ends what is under way, and what is asked later", async () => {
  await using ends = await toyEnds();
  const asked = Promise.withResolvers<void>();
  await using server = await hostileServer(
    signingOn(ends, ({ url }, response) => url === "/body" ? response.write("a part") : asked.resolve()),
  );
  const signedOn = ends.client([server.origin]);
  const body = (await signedOn(`${server.origin}/body`)).text();
  const waiting = signedOn(`${server.origin}/never`);
  await asked.promise;
  await signedOn.close();
  for (const ended of [body, waiting, signedOn(server.origin)]) {
    assertEquals((await assertRejects(() => ended, Error)).name, "StateError");
  }
  await signedOn.close();
  await server.idle();
});

test("security() knows clones of a response, and no other", async () => {
  await using ends = await toyEnds();
  await using server = await hostileServer(signingOn(ends, (_, response) => response.end("text")));
  const signedOn = ends.client([server.origin]);
  const response = await signedOn(new URL("/a?b=c#d", server.origin));
  const clone = response.clone().clone();
  assertEquals(signedOn.security(clone), signedOn.security(response));
  assertEquals([clone.url, await clone.text(), await response.text()], [
    `${server.origin}/a?b=c`,
    "text",
    "text",
  ]);
  assertEquals(server.seen[0].url, "/a?b=c");
  assertThrows(() => signedOn.security(new Response()), TypeError);
  assertThrows(() => ends.client([server.origin]).security(response), TypeError);
});

test(
  "negotiateFetch() binds the token to the certificate of its own connection, which must be trusted",
  async () => {
    const made = await makeCertificate();
    const der = (pem: string): Uint8Array => new Uint8Array(new X509Certificate(pem).raw);
    await using ends = await toyEnds();
    let certificate = der(made.cert);
    let ended = "";
    const handler: Handler = async ({ token }, response) => {
      if (token === null) return ask(response);
      const channelBindings = { type: "tls-server-end-point", certificate } as const;
      using context = ends.acceptor.accept({ channelBindings, channelBindingPolicy: "always" });
      try {
        const step = await context.step(token);
        ended = context.security.channelBindings;
        response.writeHead(200, { "www-authenticate": formatToken("Negotiate", step.token) }).end("bound");
      } catch (error) {
        ended = (error as Error).name;
        ask(response);
      }
    };
    await using server = await hostileServer(handler, made);
    const signedOn = ends.client([server.origin], { ca: made.cert });
    assertEquals([await (await signedOn(server.origin)).text(), ended], ["bound", "verified"]);
    const other = await makeCertificate();
    certificate = der(other.cert);
    const response = await signedOn(server.origin);
    assertEquals([response.status, ended === "verified"], [401, false]);
    await response.text();
    const distrusting = ends.client([server.origin], { ca: other.cert });
    const before = server.seen.length;
    assertEquals((await assertRejects(() => distrusting(server.origin), Error)).name, "TransportError");
    assertEquals(server.seen.length, before);
  },
  { skip: noCertificates },
);

test(
  "negotiateFetch() goes without channel bindings where a certificate has none, unless they are required",
  async () => {
    const made = await makeCertificate("ed25519");
    await using ends = await toyEnds();
    await using server = await hostileServer(signingOn(ends, (_, response) => response.end("text")), made);
    const available = ends.client([server.origin], { ca: made.cert });
    const response = await available(server.origin);
    assertEquals([await response.text(), available.security(response)?.channelBindings], ["text", "none"]);
    const required = ends.client([server.origin], { ca: made.cert, channelBindings: "required" });
    const before = server.seen.length;
    await assertRejects(() => required(server.origin), Error, "Ed25519");
    assertEquals(server.seen.slice(before).map(({ token }) => token), [null]);
  },
  { skip: noCertificates },
);

test(
  "negotiateFetch() uses NTLM where it is listed, in three requests of one connection, and on https unless allowed",
  async () => {
    const made = await makeCertificate();
    const accounts = () => ntHash("Alice1234!");
    for (const spnego of [false, true]) {
      const registry = createRegistry([ntlm({ accounts, spnego })]);
      const system = toySystem();
      const requirements = { mutualAuthentication: false };
      using acceptor = await openAcceptor({ registry, system, requirements });
      for (const [tls, allowHttp] of [[made, false], [undefined, true], [undefined, false]] as const) {
        const context = acceptor.accept();
        let sent = 0;
        await using server = await hostileServer(async ({ token, text }, response) => {
          // A server before Negotiate: NTLM alone.
          const scheme = spnego ? "Negotiate" : "NTLM";
          if (token === null) return ask(response, scheme);
          sent++;
          const step = await context.step(token);
          if (!step.done) return ask(response, formatToken(scheme, step.token));
          const headers = step.token === null ? {} : { "www-authenticate": formatToken(scheme, step.token) };
          response.writeHead(200, headers).end(`${context.peer?.user} ${text}`);
        }, tls);
        const credentials = { username: "alice", domain: "MIT", password: "Alice1234!" };
        const options = { registry, system, requirements, credentials, allowHttp, ca: made.cert };
        await using signedOn = negotiateFetch({ origins: [server.origin], ...options });
        const asked = () => signedOn(server.origin, { method: "POST", body: "the body" });
        if (tls === undefined && !allowHttp) {
          assertEquals(
            (await assertRejects(asked, Error, "NTLM on plain http")).name,
            "SecurityRequirementError",
          );
          assertEquals(sent, 0);
        } else {
          const response = await asked();
          assertEquals([await response.text(), sent], ["alice the body", 2]);
          assertEquals(server.seen.map(({ text }) => text), ["the body", "", "the body"]);
          assertEquals(new Set(server.seen.map(({ socket }) => socket)).size, 1);
          const security = signedOn.security(response)!;
          assertEquals([security.mechanism, security.mutualAuthentication], ["ntlm", false]);
        }
        context.close();
      }
    }
  },
  { skip: noCertificates },
);

test("negotiateFetch() follows no redirect from https to http", async () => {
  const made = await makeCertificate();
  await using ends = await toyEnds();
  await using plain = await hostileServer((_, response) => response.end("plain"));
  const handler: Handler = (_, response) => response.writeHead(302, { location: plain.origin }).end();
  await using server = await hostileServer(signingOn(ends, handler), made);
  const signedOn = ends.client([server.origin, plain.origin], { ca: made.cert, channelBindings: "never" });
  const error = await assertRejects(() => signedOn(server.origin), Error, "from https to http");
  assertEquals([error.name, plain.seen.length], ["SecurityRequirementError", 0]);
}, { skip: noCertificates });
