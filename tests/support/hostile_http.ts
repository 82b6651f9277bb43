/** HTTP servers that a test writes, and a fetch that signs on to them with the toy provider. */

import { Buffer } from "node:buffer";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { formatToken, parseCredentials } from "../../http/fields.ts";
import { negotiateFetch } from "../../http/client/fetch.ts";
import type { NegotiateFetchOptions } from "../../http/client/options.ts";
import { type Acceptor, createRegistry, openAcceptor } from "../../mod.ts";
import type { Certificate } from "../rig/certificates.ts";
import { type ToyFaults, toyProvider, toySystem } from "./toy_provider.ts";

/** One request. */
export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly socket: Socket;
  readonly text: string;
  /** The number of the request, from 1. */
  readonly number: number;
  /** The token in Authorization; `null` if there is none. */
  readonly token: Uint8Array | null;
}

/** A server that a test writes. */
export interface HostileServer extends AsyncDisposable {
  readonly origin: string;
  readonly seen: Seen[];
  /** Resolves when every connection to it has ended. */
  idle(): Promise<void>;
}

/** What a server does with a request. */
export type Handler = (seen: Seen, response: ServerResponse) => unknown;

/** Asks for sign-on, with or without a token. */
export function ask(
  response: ServerResponse,
  challenge: string | string[] = "Negotiate",
  body = "asked",
): void {
  response.writeHead(401, { "www-authenticate": challenge }).end(body);
}

/** Starts a server on loopback. */
export async function hostileServer(handler: Handler, tls?: Certificate): Promise<HostileServer> {
  const seen: Seen[] = [];
  const sockets = new Set<Socket>();
  const listener = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const { method, url, headers, socket } = request;
    const number = seen.length + 1;
    const { authorization } = headers;
    const text = authorization === undefined ? null : parseCredentials(authorization).token;
    const token = text === null ? null : new Uint8Array(Buffer.from(text, "base64"));
    const entry = { method: method!, url: url!, headers, socket, text: "", number, token };
    seen.push(entry);
    try {
      for await (const chunk of request) entry.text += chunk;
      await handler(entry, response);
    } catch {
      // The client has closed the connection.
      response.destroy();
    }
  };
  const server = tls === undefined ? createServer(listener) : createSecureServer(tls, listener);
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    origin: `${tls === undefined ? "http" : "https"}://localhost:${port}`,
    seen,
    async idle() {
      while (sockets.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** A toy's two ends. */
export interface Ends extends AsyncDisposable {
  /** Signs on to the origins with the toy. */
  client(
    origins: readonly string[],
    options?: Partial<NegotiateFetchOptions>,
  ): ReturnType<typeof negotiateFetch>;
  /** An honest server's answer to a token, as the value of WWW-Authenticate. */
  prove(token: Uint8Array): Promise<string>;
  readonly acceptor: Acceptor;
  /** What the toy has open. */
  live(): number;
}

/** Makes both ends of a toy; what is open at the end is an error. */
export async function toyEnds(faults: ToyFaults = {}): Promise<Ends> {
  const provider = toyProvider(faults);
  const registry = createRegistry([provider]);
  const system = toySystem();
  const acceptor = await openAcceptor({ registry, system });
  const fetches: ReturnType<typeof negotiateFetch>[] = [];
  return {
    acceptor,
    client(origins, options = {}) {
      const made = negotiateFetch({ origins, registry, system, ...options });
      fetches.push(made);
      return made;
    },
    async prove(token) {
      using context = acceptor.accept();
      return formatToken("Negotiate", (await context.step(token)).token);
    },
    live: () => provider.ledger.live,
    async [Symbol.asyncDispose]() {
      for (const made of fetches) await made.close();
      acceptor.close();
      if (provider.ledger.live !== 0) {
        throw new Error(`${provider.ledger.live} contexts or credentials are still open`);
      }
    },
  };
}
