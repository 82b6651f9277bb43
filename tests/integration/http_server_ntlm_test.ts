/**
 * NTLM at httpSignOn(): three messages on one connection, which nobody else inherits, with and without a reverse proxy
 * in between.
 */

import { assert, assertEquals } from "@std/assert";
import fc from "fast-check";
import { test } from "@test";
import type { Socket } from "node:net";
import type { HttpSignOn, Refused } from "../../http/mod.ts";
import { createRegistry, ntHash, ntlm, openInitiator, openSystem } from "../../mod.ts";
import { nginxUnavailable, startNginx } from "../rig/nginx.ts";
import { ask, base64, listenNode, noCurl, openSignOn, runCurl } from "../support/http_server.ts";

const PASSWORD = "Correct horse 7!";
const HASH = ntHash(PASSWORD);
const registry = createRegistry([
  ntlm({ accounts: ({ username }) => username.toLowerCase() === "alice" ? HASH : null }),
]);
// Granted nothing: NTLM needs nothing native.
const system = openSystem({ grants: [] });
const skip = await noCurl("NTLM");
const ALICE = ["--ntlm", "--user", `EXAMPLE\\alice:${PASSWORD}`];
const HELLO = "Hello EXAMPLE\\alice 200";
const REFUSED = "Sign-on with Negotiate is required\n 401";

/** A client's exchange: its first token, and its answer to the server's. */
async function client(): Promise<{ first: string; answer(refused: Refused): Promise<string> }> {
  const initiator = await openInitiator({
    system,
    registry: createRegistry([ntlm()]),
    requirements: { mutualAuthentication: false },
    credentials: { domain: "EXAMPLE", username: "alice", password: PASSWORD },
  });
  const context = initiator.initiate({ target: "HTTP/localhost" });
  const first = `NTLM ${base64((await context.step()).token!)}`;
  initiator.close();
  return {
    first,
    async answer(refused) {
      using _ending = context;
      const [, token] = refused.headers.find(([name]) => name === "www-authenticate")![1].split(" ");
      const challenge = Uint8Array.from(atob(token), (unit) => unit.charCodeAt(0));
      return `NTLM ${base64((await context.step(challenge)).token!)}`;
    },
  };
}

/** Sends a token by a connection; the request must be refused. */
async function refused(signOn: HttpSignOn, authorization: string, connection?: object): Promise<Refused> {
  const outcome = await signOn.authenticate({ authorization }, connection);
  assert(!outcome.signedOn);
  return outcome;
}

/** Serves `Hello NAME` with node:http, and runs `body` with its port and the connections of its requests. */
async function serving(
  body: (port: number, sockets: Socket[], reasons: () => string[]) => Promise<void>,
): Promise<void> {
  using watched = await openSignOn(system, { registry });
  const handler = watched.signOn.node((_request, response, { name }) => response.end(`Hello ${name}`));
  const sockets: Socket[] = [];
  await using server = await listenNode((request, response) => {
    sockets.push(request.socket);
    handler(request, response);
  });
  await body(server.port, sockets, watched.reasons);
}

test(
  "node(): curl --ntlm is signed on in three messages; its next request by the same connection is judged anew",
  () =>
    serving(async (port, sockets, reasons) => {
      const url = `http://127.0.0.1:${port}/`;
      assertEquals(await runCurl([...ALICE, url]), HELLO);
      assertEquals([new Set(sockets).size, sockets.length], [1, 2]);
      assertEquals(await runCurl([...ALICE, url, url]), HELLO + HELLO);
      assertEquals(await runCurl(["--ntlm", "--user", "EXAMPLE\\alice:other", url]), REFUSED);
      assertEquals(await runCurl([...ALICE, "--data-binary", "x".repeat(50_000), url]), HELLO);
      assertEquals(reasons(), ["bad-credentials"]);
    }),
  { skip },
);

test(
  "node(): behind nginx, which does not announce itself, a stranger on alice's connection is not alice",
  () =>
    serving(async (port, sockets) => {
      await using proxy = await startNginx({ upstream: port, announces: false });
      const url = `http://127.0.0.1:${proxy.port}/`;
      assertEquals(await runCurl([...ALICE, url]), HELLO);
      const before = sockets.length;
      assertEquals(await runCurl([url]), REFUSED);
      const stranger = await ask(url, { headers: { authorization: "NTLM " } });
      assertEquals([stranger.status, sockets.length], [400, before + 2]);
      // The stranger's requests came by the connection on which alice had signed on.
      assertEquals(new Set(sockets.slice(before - 1)).size, 1);
    }),
  { skip: skip ?? nginxUnavailable() },
);

test(
  "node(): behind a proxy that announces itself NTLM is refused",
  () =>
    serving(async (port, _sockets, reasons) => {
      await using proxy = await startNginx({ upstream: port, announces: true });
      assertEquals(await runCurl([...ALICE, `http://127.0.0.1:${proxy.port}/`]), REFUSED);
      assertEquals(new Set(reasons()), new Set(["proxy"]));
    }),
  { skip: skip ?? nginxUnavailable() },
);

test("authenticate(): NTLM needs a connection, and each announcement of a proxy takes it away", async () => {
  using watched = await openSignOn(system, { registry });
  const { signOn } = watched;
  const { first } = await client();
  await refused(signOn, first);
  for (const name of ["via", "forwarded", "x-forwarded-for", "x-real-ip"]) {
    const outcome = await signOn.authenticate({ authorization: first, [name]: "1.1 proxy" }, {});
    assertEquals(outcome.signedOn, false);
  }
  assertEquals(watched.reasons(), ["connection", "proxy", "proxy", "proxy", "proxy"]);
});

test("authenticate(): an exchange goes on by its own connection alone, once, and under its own scheme", async () => {
  using watched = await openSignOn(system, { registry });
  const { signOn } = watched;
  const alice = await client(), mine = {}, other = {};
  const challenge = await refused(signOn, alice.first, mine);
  assertEquals([challenge.reason, challenge.status], ["continue", 401]);
  const last = await alice.answer(challenge);
  await refused(signOn, last, other);
  const outcome = await signOn.authenticate({ authorization: last }, mine);
  assert(outcome.signedOn);
  assertEquals([outcome.identity.name, outcome.identity.security.mechanism], ["EXAMPLE\\alice", "ntlm"]);
  await refused(signOn, last, mine);
  assertEquals(await refused(signOn, "Basic AAAA", mine).then(({ reason }) => reason), "scheme");
  const second = await client();
  const again = await refused(signOn, second.first, mine);
  await refused(signOn, (await second.answer(again)).replace("NTLM", "Negotiate"), mine);
  assertEquals(watched.reasons().length, 4);
});

test("authenticate(): a first token on a connection whose exchange waits begins it anew", async () => {
  using watched = await openSignOn(system, { registry });
  const { signOn } = watched;
  const abandoned = await client(), alice = await client(), connection = {};
  const first = await refused(signOn, abandoned.first, connection);
  const second = await refused(signOn, alice.first, connection);
  assertEquals([first.reason, second.reason], ["continue", "continue"]);
  const outcome = await signOn.authenticate({ authorization: await alice.answer(second) }, connection);
  assertEquals([outcome.signedOn, watched.reasons()], [true, []]);
  await abandoned.answer(first);
});

test("hono(): NTLM is bound to the connection of HTTP/1.1 below it, and refused where requests share one", async () => {
  using watched = await openSignOn(system, { registry });
  const { first: authorization, answer } = await client();
  const next = () => Promise.reject(new Error("a request got through"));
  const ask = async (incoming?: object): Promise<Response> => {
    const raw = new Request("http://localhost/", { headers: { authorization } });
    const context = { req: { raw }, env: { incoming }, res: new Response(), set() {}, header() {} };
    return await watched.signOn.hono()(context, next) as Response;
  };
  const rawHeaders = ["Authorization", authorization], socket = {}, headers = {};
  const challenge = await ask({ socket, headers, rawHeaders, httpVersionMajor: 1 });
  assertEquals([challenge.status, watched.reasons()], [401, []]);
  for (const shared of [undefined, {}, { socket, headers, rawHeaders, httpVersionMajor: 2 }]) {
    assertEquals((await ask(shared)).headers.get("www-authenticate"), "NTLM");
  }
  assertEquals(watched.reasons(), ["connection", "connection", "connection"]);
  const fields = [["www-authenticate", challenge.headers.get("www-authenticate")!]] as const;
  const last = await answer({ signedOn: false, status: 401, reason: "continue", headers: fields });
  assertEquals((await watched.signOn.authenticate({ authorization: last }, socket)).signedOn, true);
});

test("authenticate(): whatever is in Authorization, it neither signs on nor throws, and leaves no exchange", async () => {
  using watched = await openSignOn(system, { registry, exchangeTimeoutMs: 60_000 });
  const token = fc.uint8Array({ maxLength: 200 }).map(base64);
  const message = fc.uint8Array({ maxLength: 200 }).map((rest) => {
    const start = new TextEncoder().encode("NTLMSSP\0\x03\0\0\0");
    return base64(new Uint8Array([...start, ...rest]));
  });
  const scheme = fc.constantFrom("Negotiate", "NTLM", "negotiate", "Basic", "");
  const field = fc.tuple(scheme, fc.oneof(token, message, fc.string())).map((parts) => parts.join(" "));
  await fc.assert(
    fc.asyncProperty(fc.oneof(field, fc.string()), async (authorization) => {
      const outcome = await watched.signOn.authenticate({ authorization }, {});
      assert(!outcome.signedOn && outcome.reason !== "error", `${outcome.signedOn}`);
    }),
    { numRuns: 300 },
  );
});

test("authenticate(): 3,000 exchanges that begin and go no further keep 1,000, and an honest client is served", async () => {
  using watched = await openSignOn(system, { registry });
  const { signOn } = watched;
  const honest = await client();
  const connections = Array.from({ length: 3000 }, () => ({}));
  const early = await refused(signOn, honest.first, connections[0]);
  for (const connection of connections.slice(1)) await refused(signOn, honest.first, connection);
  assertEquals(watched.reasons(), []);
  // The first of them was closed to make room.
  await refused(signOn, await honest.answer(early), connections[0]);
  const late = await client(), connection = {};
  const challenge = await refused(signOn, late.first, connection);
  const outcome = await signOn.authenticate({ authorization: await late.answer(challenge) }, connection);
  assertEquals(outcome.signedOn, true);
});

test("authenticate(): a server with acceptedTargets refuses curl, whose NTLM names no target", async () => {
  using watched = await openSignOn(system, { registry, acceptedTargets: ["HTTP/localhost"] });
  const alice = await client(), connection = {};
  const challenge = await refused(watched.signOn, alice.first, connection);
  const outcome = await watched.signOn.authenticate(
    { authorization: await alice.answer(challenge) },
    connection,
  );
  // This library's client names it.
  assertEquals(outcome.signedOn, true);
  const handler = watched.signOn.node((_request, response, { name }) => response.end(`Hello ${name}`));
  await using server = await listenNode(handler);
  if (skip === null) assertEquals(await runCurl([...ALICE, server.url]), REFUSED);
});
