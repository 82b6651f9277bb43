/**
 * httpSignOn() in Express, Connect's form, Fastify, Hono, node:http and Deno.serve: who signed on is known, and the
 * answer's token travels on whatever the handler answers.
 */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { serve } from "@hono/node-server";
import express from "express";
import fastify from "fastify";
import { Hono } from "hono";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import process from "node:process";
import type { HttpIdentity, HttpSignOn } from "../../http/mod.ts";
import type { Initiator } from "../../mod.ts";
import { openInitiator } from "../../mod.ts";
import {
  ask,
  askProved,
  authorization,
  listenNode,
  type NodeServer,
  openSignOn,
  rawAnswer,
} from "../support/http_server.ts";
import { inRealm, noRealm } from "../support/kerberos.ts";
import { written } from "../support/warnings.ts";

const APP = "https://app.example.test";
const skip = noRealm;
const noDeno = process.versions.deno ? null : "Deno.serve is Deno's";

/** Serves `/`: a greeting, `/moved`: a redirect, `/throws`: an error, `/cached`: a Cache-Control of its own. */
type Start = (signOn: HttpSignOn) => Promise<NodeServer>;

const nodeHttp: Start = (signOn) =>
  listenNode(createServer(signOn.node(({ url }, response, { name }) => {
    if (url === "/throws") throw new Error("in the handler");
    if (url === "/moved") return response.writeHead(302, { location: "/" }).end();
    if (url === "/cached") response.setHeader("cache-control", "private, max-age=60");
    if (url === "/none") response.statusCode = 404;
    response.end(`Hello ${name}`);
  })));

const inExpress: Start = (signOn) => {
  const app = express();
  app.disable("x-powered-by");
  app.use(signOn.node());
  app.get("/", (request: IncomingMessage, response: ServerResponse) => {
    response.end(`Hello ${signOn.identityOf(request).name}`);
  });
  app.get("/moved", (_: unknown, response: { redirect(to: string): void }) => response.redirect("/"));
  app.get("/throws", () => Promise.reject(new Error("in the handler")));
  app.get("/cached", (_: unknown, response: ServerResponse) => {
    response.setHeader("cache-control", "private, max-age=60").end();
  });
  return listenNode(createServer(app));
};

const inFastify: Start = async (signOn) => {
  const app = fastify({ logger: false });
  const middleware = signOn.node();
  app.addHook("onRequest", (request, reply, done) => middleware(request.raw, reply.raw, done));
  app.get("/", (request) => `Hello ${signOn.identityOf(request.raw).name}`);
  app.get("/moved", (_request, reply) => reply.redirect("/"));
  app.get("/throws", () => Promise.reject(new Error("in the handler")));
  app.get("/cached", (_request, reply) => reply.header("cache-control", "private, max-age=60").send(""));
  const address = await app.listen({ port: 0, host: "127.0.0.1" });
  const { port } = new URL(address);
  return {
    port: Number(port),
    url: `http://localhost:${port}/`,
    [Symbol.asyncDispose]: async () => await app.close(),
  };
};

function honoApp(signOn: HttpSignOn): Hono<{ Variables: { identity: HttpIdentity } }> {
  const app = new Hono<{ Variables: { identity: HttpIdentity } }>();
  app.use(signOn.hono());
  app.get("/", (context) => context.text(`Hello ${context.get("identity").name}`));
  app.get("/moved", () => Response.redirect("http://localhost/", 302));
  app.get("/throws", () => Promise.reject(new Error("in the handler")));
  app.get("/cached", (context) => context.text("", 200, { "cache-control": "private, max-age=60" }));
  return app;
}

const inHono: Start = async (signOn) => {
  const { promise, resolve } = Promise.withResolvers<number>();
  const server = serve(
    // By default it replaces the global Response, which Deno.serve then does not accept.
    { fetch: honoApp(signOn).fetch, port: 0, hostname: "127.0.0.1", overrideGlobalObjects: false },
    ({ port }) => resolve(port),
  ) as Server;
  const port = await promise;
  return {
    port,
    url: `http://localhost:${port}/`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
};

/** A server of Deno.serve; for tests on Deno alone. */
function denoServe(
  handler: (request: Request, info: Deno.ServeHandlerInfo) => Promise<Response>,
): NodeServer {
  const server = Deno.serve({ port: 0, hostname: "127.0.0.1", onListen() {} }, handler);
  const { port } = server.addr;
  return { port, url: `http://localhost:${port}/`, [Symbol.asyncDispose]: () => server.shutdown() };
}

const inDenoServe: Start = (signOn) =>
  Promise.resolve(denoServe(signOn.fetch((request, { name }) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/throws") throw new Error("in the handler");
    if (pathname === "/moved") return Response.redirect("http://localhost/", 302);
    if (pathname === "/cached") {
      return new Response("", { headers: { "cache-control": "private, max-age=60" } });
    }
    return new Response(`Hello ${name}`, { status: pathname === "/" ? 200 : 404 });
  })));

const onDeno = async (app: Hono<{ Variables: { identity: HttpIdentity } }>): Promise<NodeServer> =>
  await Promise.resolve(denoServe(async (request, info) => await app.fetch(request, info)));

const SERVERS: readonly [name: string, start: Start, skip: string | null][] = [
  ["node() in node:http", nodeHttp, null],
  ["node() in Express", inExpress, null],
  ["node() in Fastify", inFastify, null],
  ["hono() on @hono/node-server", inHono, null],
  ["hono() on Deno.serve", (signOn) => onDeno(honoApp(signOn)), noDeno],
  ["fetch() on Deno.serve", inDenoServe, noDeno],
];

/** A server, alice's credentials, and why requests were refused. */
interface Stage {
  readonly url: string;
  readonly alice: Initiator;
  readonly reasons: () => string[];
}

async function provesItself({ url, alice }: Stage): Promise<void> {
  const { status, text, headers } = await askProved(alice, url);
  assertEquals([status, text], [200, "Hello alice@MIT.TEST"]);
  assertEquals(headers["cache-control"], "private, no-cache");
  assertEquals((await askProved(alice, `${url}cached`)).headers["cache-control"], "private, max-age=60");
  assertEquals((await askProved(alice, `${url}moved`)).status, 302);
  assertEquals((await askProved(alice, `${url}none`)).status, 404);
  const said = await written("error", async () => {
    assertEquals((await askProved(alice, `${url}throws`)).status, 500);
  });
  assert(said.every((line) => line.includes("in the handler")), said.join());
}

async function refusesOthers({ url, alice, reasons }: Stage): Promise<void> {
  const anonymous = await ask(url);
  assertEquals([anonymous.status, anonymous.text], [401, "Sign-on with Negotiate is required\n"]);
  assertEquals(anonymous.headers["www-authenticate"], "Negotiate");
  assertEquals(anonymous.headers["cache-control"], "no-store");
  const foreign = { method: "POST", headers: { "sec-fetch-site": "cross-site" }, body: "x" };
  assertEquals((await ask(url, foreign)).status, 403);
  const preflight = { origin: APP, "access-control-request-method": "PUT" };
  const allowed = await ask(url, { method: "OPTIONS", headers: preflight });
  assertEquals([allowed.status, allowed.headers["access-control-allow-origin"]], [204, APP]);
  const other = { ...preflight, origin: "https://evil.example.test" };
  assertEquals((await ask(url, { method: "OPTIONS", headers: other })).status, 401);
  const { headers } = await askProved(alice, url, { headers: { origin: APP } });
  assertEquals(headers["access-control-allow-origin"], APP);
  assertEquals(headers["access-control-allow-credentials"], "true");
  assertStringIncludes(`${headers.vary}`.toLowerCase(), "origin");
  assertEquals(reasons(), ["cross-origin"]);
}

async function refusesMalformed({ url, alice, reasons }: Stage): Promise<void> {
  const status = async (authorization: string): Promise<number> =>
    (await ask(url, { headers: { authorization } })).status;
  for (const wrong of ["Negotiate AAAA, Negotiate AAAA", "Negotiate", "Negotiate AAA", "Negotiate AA-_"]) {
    assertEquals(await status(wrong), 400, wrong);
  }
  assertEquals(await status("Basic AAAA, Negotiate AAAA"), 401);
  assertEquals(await status(`Negotiate ${"A".repeat(8000)}`), 431);
  const good = `Authorization: ${await authorization(alice)}`;
  for (const lines of [[good, good], [good, "Authorization: Basic AAAA"], [good, " Negotiate AAAA"]]) {
    assertEquals(/^HTTP\/1.1 (\d+)/.exec(await rawAnswer(url, lines))?.[1], "400");
  }
  assertEquals(reasons().slice(0, 6), [...Array(4).fill("malformed"), "scheme", "too-large"]);
}

for (const [name, start, missing] of SERVERS) {
  test(
    `${name}: the handler knows who sent a request, every answer proves the server, and nothing else gets through`,
    () =>
      inRealm(async (_realm, system) => {
        using watched = await openSignOn(system, { allowedOrigins: [APP], maxTokenBytes: 4096 });
        using alice = await openInitiator({ system });
        await using server = await start(watched.signOn);
        const stage = { url: server.url, alice, reasons: watched.reasons };
        await provesItself(stage);
        await refusesOthers(stage);
        await refusesMalformed(stage);
      }),
    { skip: skip ?? missing },
  );
}
