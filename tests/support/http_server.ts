/** Servers and clients for the tests of httpSignOn(). */

import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from "node:http";
import type { Server as SecureServer } from "node:https";
import { type AddressInfo, connect } from "node:net";
import { type Initiator, openInitiator, type System } from "../../mod.ts";
import { type HttpSignOn, httpSignOn, type HttpSignOnOptions, type Refused } from "../../http/mod.ts";
import { findProgram, run, type RunResult } from "../../scripts/process.ts";

/** What answers requests of node:http. */
export type Answer = (request: IncomingMessage, response: ServerResponse) => unknown;

/** A server of node:http on loopback. */
export interface NodeServer extends AsyncDisposable {
  /** Its port on 127.0.0.1. */
  readonly port: number;
  /** Its address, with the name `localhost`. */
  readonly url: string;
}

/** Listens on loopback, with node:http or node:https; closing it ends its connections. */
export async function listenNode(server: Server | SecureServer | Answer): Promise<NodeServer> {
  const listening = typeof server === "function" ? createServer((...args) => void server(...args)) : server;
  await new Promise<void>((resolve) => listening.listen(0, "127.0.0.1", resolve));
  const { port } = listening.address() as AddressInfo;
  return {
    port,
    url: `http://localhost:${port}/`,
    async [Symbol.asyncDispose]() {
      listening.closeAllConnections();
      await new Promise((resolve) => listening.close(resolve));
    },
  };
}

/** A sign-on whose refusals are kept. */
export interface Watched extends Disposable {
  /** The sign-on. */
  readonly signOn: HttpSignOn;
  /** Why it refused requests, in order. */
  readonly refusals: Refused[];
  /** The reasons alone. They are then forgotten. */
  reasons(): string[];
}

/** Opens a sign-on. */
export async function openSignOn(system: System, options: HttpSignOnOptions = {}): Promise<Watched> {
  const refusals: Refused[] = [];
  const signOn = await httpSignOn({ system, onRefused: (refused) => refusals.push(refused), ...options });
  return {
    signOn,
    refusals,
    reasons: () => refusals.splice(0).map(({ reason }) => reason),
    [Symbol.dispose]: () => signOn.close(),
  };
}

/** The value of Authorization with a new token of alice's for `target`. */
export async function authorization(initiator: Initiator, target = "HTTP/localhost"): Promise<string> {
  using context = initiator.initiate({ target });
  return `Negotiate ${base64((await context.step()).token!)}`;
}

/** Runs `body` with a client's credentials: alice's. */
export async function asAlice<T>(system: System, body: (initiator: Initiator) => Promise<T>): Promise<T> {
  using initiator = await openInitiator({ system });
  return await body(initiator);
}

/** An answer, as node:http's client reads it. */
export interface Answered {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
}

/** Options of {@linkcode ask}. */
export interface AskOptions {
  readonly method?: string;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

/** Sends one request on a connection of its own. */
export function ask(url: string | URL, { method, headers, body }: AskOptions = {}): Promise<Answered> {
  const { promise, resolve, reject } = Promise.withResolvers<Answered>();
  const asking = request(url, { method, headers, agent: false }, async (answer) => {
    let text = "";
    try {
      for await (const chunk of answer.setEncoding("utf8")) text += chunk;
      resolve({ status: answer.statusCode!, headers: answer.headers, text });
    } catch (error) {
      reject(error);
    }
  });
  asking.on("error", reject).end(body);
  return promise;
}

/** Sends one request as alice, and checks that the answer proves the server. */
export async function askProved(
  alice: Initiator,
  url: string | URL,
  options: AskOptions = {},
  target = "HTTP/localhost",
): Promise<Answered> {
  using context = alice.initiate({ target });
  const authorization = `Negotiate ${base64((await context.step()).token!)}`;
  const answer = await ask(url, { ...options, headers: { authorization, ...options.headers } });
  const [, token] = /^Negotiate ([A-Za-z0-9+/=]+)$/.exec(`${answer.headers["www-authenticate"]}`) ?? [];
  if (token === undefined) {
    throw new Error(`no token came with ${answer.status}: ${answer.headers["www-authenticate"]}`);
  }
  const { done } = await context.step(Uint8Array.from(atob(token), (unit) => unit.charCodeAt(0)));
  if (!done || context.security.mutualAuthentication !== true) throw new Error("the server is not proved");
  return answer;
}

/** What a server answers to a GET with these lines of header, on a connection of its own, as it was received. */
export async function rawAnswer(url: string, lines: readonly string[]): Promise<string> {
  const { host, port, pathname } = new URL(url);
  const socket = connect(Number(port), "127.0.0.1").setEncoding("latin1");
  try {
    socket.write(
      [`GET ${pathname} HTTP/1.1`, `Host: ${host}`, "Connection: close", ...lines, "", ""].join("\r\n"),
    );
    let text = "";
    for await (const chunk of socket) text += chunk;
    return text;
  } finally {
    socket.destroy();
  }
}

/** Bytes in base64. */
export function base64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

const curl = findProgram("curl");

/** Why curl cannot be used here with a kind of sign-on; `null` where it can. */
export async function noCurl(feature: "SPNEGO" | "NTLM"): Promise<string | null> {
  if (curl === null) return "apt-get install curl";
  const { stdout } = await run(curl, ["--version"]);
  return new RegExp(`\\b${feature}\\b`).test(stdout) ? null : `this curl was built without ${feature}`;
}

/** What curl printed: the body, a space and the status. */
export async function runCurl(args: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const fixed = [
    "--silent",
    "--show-error",
    "--noproxy",
    "*",
    "--max-time",
    "30",
    "--write-out",
    " %{http_code}",
  ];
  const { stdout, stderr }: RunResult = await run(curl!, [...fixed, ...args], { env });
  return stdout + stderr;
}
