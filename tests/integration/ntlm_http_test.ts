/** curl, as it is, against openAcceptor() with ntlm() behind a server of node:http: three messages on one connection. */

import { assertEquals } from "@std/assert";
import { test } from "@test";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { ntHash, ntlm } from "../../plugins/ntlm/mod.ts";
import {
  type AcceptOptions,
  type Acceptor,
  createRegistry,
  openAcceptor,
  openSystem,
  type SecurityContext,
} from "../../mod.ts";
import { findProgram, run } from "../../scripts/process.ts";
import type { Requirements } from "../../contract.ts";

const curl = findProgram("curl");
// Granted nothing: NTLM needs nothing native.
const system = openSystem({ grants: [] });

/** Whether curl was built with NTLM. */
async function whyNot(): Promise<string | null> {
  if (curl === null) return "apt-get install curl";
  return /\bNTLM\b/.test((await run(curl, ["--version"])).stdout) ? null : "this curl was built without NTLM";
}

const skip = await whyNot();
const PASSWORD = "Correct horse 7!";
const accounts = ({ domain, username }: { domain: string; username: string }): Uint8Array | null =>
  domain.toUpperCase() === "EXAMPLE" && username.toLowerCase() === "alice" ? ntHash(PASSWORD) : null;

/** What a page says, and how often curl asked. */
interface Seen {
  /** What curl printed: the status and the body. */
  readonly printed: string;
  /** The requests that carried no token, the first and the second. */
  readonly legs: number;
  /** Why the server refused. */
  readonly refusals: readonly string[];
}

/** Serves one curl with contexts of `acceptor`, each kept by its connection. */
async function curlWith(acceptor: Acceptor, user: string, options: AcceptOptions = {}): Promise<Seen> {
  const contexts = new Map<Socket, SecurityContext>(), refusals: string[] = [];
  let legs = 0;
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    legs++;
    const refuse = (offer: string): void => void response.writeHead(401, { "www-authenticate": offer }).end();
    const [, base64] = /^NTLM ([A-Za-z0-9+/=]+)$/.exec(request.headers.authorization ?? "") ?? [];
    if (base64 === undefined) return refuse("NTLM");
    const { socket } = request, context = contexts.get(socket) ?? acceptor.accept(options);
    contexts.set(socket, context);
    try {
      const token = Uint8Array.from(atob(base64), (unit) => unit.charCodeAt(0));
      const leg = await context.step(token);
      if (!leg.done) return refuse(`NTLM ${btoa(String.fromCharCode(...leg.token!))}`);
      const { mechanism, integrity } = context.security;
      response.end(`${context.peer!.name} by ${mechanism}, ${integrity ? "signed" : "authenticated"}`);
    } catch (error) {
      refusals.push((error as { reason?: string }).reason ?? String(error));
      contexts.delete(socket);
      context.close();
      refuse("NTLM");
    }
  };
  const server = createServer((request, response) => void answer(request, response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const url = `http://127.0.0.1:${port}/`;
  try {
    const args = [
      "--silent",
      "--ntlm",
      "--user",
      user,
      "--noproxy",
      "*",
      "--write-out",
      " %{http_code}",
      url,
    ];
    const { stdout } = await run(curl!, args);
    return { printed: stdout, legs, refusals };
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    contexts.forEach((context) => context.close());
  }
}

function open(requirements: Requirements = {}): Promise<Acceptor> {
  const registry = createRegistry([ntlm({ accounts })]);
  return openAcceptor({ system, registry, requirements: { mutualAuthentication: false, ...requirements } });
}

test(
  "curl --ntlm is authenticated in three messages, and its name is known",
  async () => {
    using acceptor = await open();
    const { printed, refusals, legs } = await curlWith(acceptor, `EXAMPLE\\alice:${PASSWORD}`);
    assertEquals([printed, refusals, legs], ["EXAMPLE\\alice by ntlm, authenticated 200", [], 2]);
  },
  { skip },
);

test(
  "curl --ntlm with a wrong password, or as somebody unknown, gets 401",
  async () => {
    using acceptor = await open();
    for (const user of ["EXAMPLE\\alice:other", `EXAMPLE\\mallory:${PASSWORD}`, `alice:${PASSWORD}`]) {
      const { printed, refusals } = await curlWith(acceptor, user);
      assertEquals([printed, refusals], [" 401", ["bad-credentials"]]);
    }
  },
  { skip },
);

test(
  "curl --ntlm is refused where records are to be signed, and where it would have to send channel bindings",
  async () => {
    using strict = await open({ integrity: true });
    const { printed, refusals } = await curlWith(strict, `EXAMPLE\\alice:${PASSWORD}`);
    assertEquals([printed, refusals[0]], [" 401", "mechanism"]);
    using acceptor = await open();
    const channelBindings = new TextEncoder().encode("tls-server-end-point:0123");
    const always = await curlWith(acceptor, `EXAMPLE\\alice:${PASSWORD}`, { channelBindings });
    assertEquals([always.printed, always.refusals], [" 401", ["channel-bindings"]]);
    const options = { channelBindings, channelBindingPolicy: "whenSupported" } as const;
    const optional = await curlWith(acceptor, `EXAMPLE\\alice:${PASSWORD}`, options);
    assertEquals([optional.printed, optional.refusals], ["EXAMPLE\\alice by ntlm, authenticated 200", []]);
  },
  { skip },
);
