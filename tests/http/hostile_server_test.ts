/** Servers that claim too much, send nonsense, or stop: none of them gets an answer handed out, or a token too many. */

import { Buffer } from "node:buffer";
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { test } from "@test";
import { formatToken } from "../../http/fields.ts";
import { ask, type Handler, hostileServer, toyEnds } from "../support/hostile_http.ts";

/** Rejects, and everything is closed: the server's connections, the contexts, the credentials. */
async function refused(
  handler: (prove: (token: Uint8Array) => Promise<string>) => Handler,
  init?: RequestInit & { duplex?: "half" },
  faults = {},
): Promise<Error & { code?: string; reason?: string; required?: string }> {
  await using ends = await toyEnds(faults);
  await using server = await hostileServer(handler((token) => ends.prove(token)));
  const signedOn = ends.client([server.origin]);
  const error = await assertRejects(() => signedOn(`${server.origin}/page`, init), Error);
  await server.idle();
  assertEquals(ends.live(), 2, "credentials of both ends, and no context");
  return error;
}

const flip = (text: string): string => {
  const bytes = Buffer.from(text.slice("Negotiate ".length), "base64");
  bytes[bytes.length >> 1] ^= 1;
  return formatToken("Negotiate", bytes);
};

test("negotiateFetch() gives nothing of an answer without proof to its caller", async () => {
  let earlier = "";
  const claims: [what: string, claim: (proof: string) => string | string[] | null, code: string][] = [
    ["no header", () => null, "SECURITY_REQUIREMENT"],
    ["no token", () => "Negotiate", "SECURITY_REQUIREMENT"],
    ["a token of another scheme", (proof) => proof.replace("Negotiate", "NTLM"), "SECURITY_REQUIREMENT"],
    ["garbage", () => "Negotiate AAAA", "AUTHENTICATION"],
    ["no base64", () => "Negotiate A~A", "PROTOCOL"],
    ["base64 without padding", (proof) => proof.replace(/=*$/, "").slice(0, -1), "PROTOCOL"],
    ["a flipped bit", flip, "AUTHENTICATION"],
    ["two tokens", (proof) => [proof, proof], "PROTOCOL"],
    ["a token and none", (proof) => [proof, "Negotiate"], "PROTOCOL"],
    ["a token with more after it", (proof) => `${proof} x`, "PROTOCOL"],
    ["100 KB of token", () => formatToken("Negotiate", new Uint8Array(100_000)), "PROTOCOL"],
    ["300 KB of token", () => formatToken("Negotiate", new Uint8Array(300_000)), "PROTOCOL"],
    ["the proof of another exchange", (proof) => earlier || (earlier = proof) && proof, "AUTHENTICATION"],
  ];
  await using ends = await toyEnds();
  let claim: (proof: string) => string | string[] | null = (proof) => proof;
  await using server = await hostileServer(async ({ token }, response) => {
    if (token === null) return ask(response);
    const header = claim(await ends.prove(token));
    response.writeHead(200, header === null ? {} : { "www-authenticate": header });
    // More than anybody buffers: the client must close the connection, for it to end.
    response.end("secret ".repeat(2_000_000));
  });
  const signedOn = ends.client([server.origin]);
  const honest = await signedOn(server.origin);
  assertEquals(honest.status, 200);
  await honest.body!.cancel();
  claim = (proof) => (earlier = proof);
  await (await signedOn(server.origin)).body!.cancel();
  for (const [what, made, code] of claims) {
    claim = made;
    const error = await assertRejects(() => signedOn(server.origin), Error);
    assertEquals((error as { code?: string }).code, code, `${what}: ${error}`);
    assert(!error.message.includes("secret"), what);
    await server.idle();
  }
  for (const status of [204, 302, 404, 500]) {
    await using other = await hostileServer(({ token }, response) =>
      token === null ? ask(response) : response.writeHead(status, { location: "/elsewhere" }).end()
    );
    const error = await assertRejects(() => ends.client([other.origin])(other.origin), Error);
    assertMatch(error.message, new RegExp(`answered ${status} to a sign-on without proof`));
    assertEquals(other.seen.length, 2);
  }
});

test("negotiateFetch() refuses an answer that comes before the exchange is complete", async () => {
  const error = await refused(
    (prove) => async ({ token }, response) => {
      if (token === null) return ask(response);
      response.writeHead(200, { "www-authenticate": await prove(token) }).end("early");
    },
    {},
    { tokens: 4 },
  );
  assertEquals(error.reason, "unexpected-message");
});

test("negotiateFetch() completes an exchange of several requests on one connection", async () => {
  await using ends = await toyEnds({ tokens: 4 });
  let context = ends.acceptor.accept();
  const sockets = new Set<unknown>();
  await using server = await hostileServer(async ({ token, socket, text }, response) => {
    sockets.add(socket);
    if (token === null) return ask(response);
    const step = await context.step(token);
    const challenge = formatToken("Negotiate", step.token);
    if (!step.done) return ask(response, challenge);
    context.close();
    context = ends.acceptor.accept();
    response.writeHead(200, { "www-authenticate": challenge }).end(`got ${text}`);
  });
  const signedOn = ends.client([server.origin]);
  const response = await signedOn(server.origin, { method: "POST", body: "the body" });
  assertEquals([await response.text(), sockets.size, server.seen.length], ["got the body", 1, 3]);
  assertEquals(signedOn.security(response)?.mechanism, "toy");
  const stream = new Blob(["the body"]).stream();
  const init = { method: "POST", body: stream, duplex: "half" } as RequestInit;
  await assertRejects(() => signedOn(server.origin, init), TypeError, "cannot be sent twice");
  context.close();
});

test("negotiateFetch() ends loops of 401, and gives the caller those that are not for it", async () => {
  await using ends = await toyEnds();
  const statuses: [challenge: string | string[], requests: number][] = [
    // Refused after a token.
    ["Negotiate", 2],
    [["Negotiate", "NTLM"], 2],
    ['Basic realm="a, Negotiate b", negotiate', 2],
    // Nothing to answer.
    ['Basic realm="x"', 1],
    ["NTLM", 1],
    ["Basic realm=x y, Negotiate", 1],
    ["Negotiate AAAA", 1],
    ["Negotiate A, Negotiate", 1],
  ];
  for (const [challenge, requests] of statuses) {
    await using server = await hostileServer((_, response) => ask(response, challenge));
    const signedOn = ends.client([server.origin]);
    const response = await signedOn(server.origin);
    assertEquals([response.status, await response.text()], [401, "asked"]);
    assertEquals([signedOn.security(response), server.seen.length], [null, requests], String(challenge));
  }
  const error = await refused(() => ({ token }, response) =>
    ask(response, token ? "Negotiate AAAA" : "Negotiate")
  );
  assertEquals(error.code, "AUTHENTICATION");
  // A server that goes on for ever has the toy's keys here.
  await using endless = await toyEnds({ tokens: 40 });
  let context = endless.acceptor.accept();
  await using server = await hostileServer(async ({ token }, response) => {
    if (token !== null) return ask(response, formatToken("Negotiate", (await context.step(token)).token));
    context.close();
    context = endless.acceptor.accept();
    ask(response);
  });
  await assertRejects(() => endless.client([server.origin])(server.origin), Error, "after 4 tokens");
  assertEquals(server.seen.length, 5);
  context.close();
});

test("negotiateFetch() opens a new connection where the server closed the first, and repeats what may be repeated", async () => {
  await using ends = await toyEnds();
  for (const said of [true, false]) {
    await using server = await hostileServer(async ({ token, socket }, response) => {
      if (token === null) {
        if (said) response.setHeader("connection", "close");
        else response.on("finish", () => socket.end());
        return ask(response);
      }
      response.writeHead(200, { "www-authenticate": await ends.prove(token) }).end("signed on");
    });
    const response = await ends.client([server.origin])(server.origin, { method: said ? "POST" : "GET" });
    assertEquals(await response.text(), "signed on");
  }
  await using keeps = await hostileServer(async ({ token, number }, response) => {
    if (token === null) return ask(response);
    if (number === 2) return response.socket!.destroy();
    response.writeHead(200, { "www-authenticate": await ends.prove(token) }).end("second time");
  });
  const signedOn = ends.client([keeps.origin]);
  assertEquals(await (await signedOn(keeps.origin)).text(), "second time");
  assertEquals(keeps.seen.map(({ token }) => token !== null), [false, true, false, true]);
  await using drops = await hostileServer(({ token }, response) =>
    token ? response.socket!.destroy() : ask(response)
  );
  const always = ends.client([drops.origin]);
  assertEquals((await assertRejects(() => always(drops.origin), Error)).name, "TransportError");
  assertEquals(drops.seen.length, 4);
  // A server may have acted on a POST before it closed the connection.
  await assertRejects(() => always(drops.origin, { method: "POST", body: "x" }), Error, "closed");
  assertEquals(drops.seen.length, 6);
});

test("negotiateFetch() names the server's limit where a large token is refused", async () => {
  const faults = {
    changeStep: (role: string, _: number, result: { token: Uint8Array | null; done: boolean }) =>
      role === "client" && result.token ? { ...result, token: new Uint8Array(9000) } : result,
  };
  for (const status of [400, 431]) {
    const error = await refused(
      () => ({ token }, response) => token ? response.writeHead(status).end() : ask(response),
      {},
      faults,
    );
    assertMatch(error.message, new RegExp(`answered ${status} .*LimitRequestFieldSize`));
  }
});

test("negotiateFetch() reports answers that are not HTTP, and connections that fail", async () => {
  const raw = async (bytes: string) => {
    await using ends = await toyEnds();
    await using server = await hostileServer((_, response) => void response.socket!.end(bytes));
    return await assertRejects(async () => (await ends.client([server.origin])(server.origin)).text(), Error);
  };
  const cases: [bytes: string, name: string][] = [
    ["SSH-2.0-x\r\n\r\n", "ProtocolError"],
    ["HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "ProtocolError"],
    ["HTTP/1.1 200 OK\r\nX: \x01\0\r\n\r\n", "ProtocolError"],
    [`HTTP/1.1 200 OK\r\nX: ${"a".repeat(300_000)}\r\n\r\n`, "ProtocolError"],
    ["HTTP/1.1 700 Odd\r\nContent-Length: 0\r\n\r\n", "ProtocolError"],
    ["HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", "TransportError"],
    ["", "TransportError"],
    ["HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", "TransportError"],
    ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "TransportError"],
    ["HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 5\r\n\r\nhello", "TransportError"],
  ];
  for (const [bytes, name] of cases) assertEquals((await raw(bytes)).name, name, bytes.slice(0, 60));
  await using ends = await toyEnds();
  const refusing = await hostileServer(() => {});
  await refusing[Symbol.asyncDispose]();
  const error = await assertRejects(() => ends.client([refusing.origin])(refusing.origin), Error);
  assertEquals([error.name, (error as { codeName?: string }).codeName], ["TransportError", "ECONNREFUSED"]);
  const none = "http://localhost:0";
  await assertRejects(() => ends.client([none])(none), Error, "no server listens on port 0");
});

test("negotiateFetch() does not read a 401 that has no end, and signs on over another connection", async () => {
  await using ends = await toyEnds();
  await using server = await hostileServer(async ({ token }, response) => {
    if (token !== null) {
      return response.writeHead(200, { "www-authenticate": await ends.prove(token) }).end("signed on");
    }
    response.writeHead(401, { "www-authenticate": "Negotiate" });
    response.write(new Uint8Array(1_000_000));
  });
  assertEquals(await (await ends.client([server.origin])(server.origin)).text(), "signed on");
  assertEquals(new Set(server.seen.map(({ socket }) => socket)).size, 2);
});
