/** Servers and proxies of a test's own for tests/http/proxy. */

import { Buffer } from "node:buffer";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import type { Registry } from "../../plugins/registry.ts";
import { createRegistry } from "../../plugins/registry.ts";
import { toyProvider, toySystem } from "./toy_provider.ts";
import type { ProviderSystem } from "../../contract.ts";

/** A listening server; disposal ends it with its connections. */
export interface Listening extends AsyncDisposable {
  /** Its port on 127.0.0.1. */
  readonly port: number;
  /** Its connections that are open. */
  readonly sockets: ReadonlySet<Socket>;
}

/** Starts a server of `onSocket` on loopback. */
export async function listening(onSocket: (socket: Socket) => void): Promise<Listening> {
  const server = createServer({ allowHalfOpen: true }, onSocket);
  return await watched(server);
}

/** Makes `server` listen on loopback, and watches its connections. */
export async function watched(server: Server): Promise<Listening> {
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", () => resolve()));
  return {
    port: (server.address() as AddressInfo).port,
    sockets,
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/** A proxy that answers each request header with what `answer` returns; `null`: with nothing. */
export function writtenProxy(
  answer: (header: string, socket: Socket) => string | Buffer | null,
): Promise<Listening & { readonly headers: string[] }> {
  const headers: string[] = [];
  return listening((socket) => {
    socket.on("end", () => socket.end());
    let text = "";
    socket.on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      for (let end; (end = text.indexOf("\r\n\r\n")) >= 0;) {
        const header = text.slice(0, end + 4);
        text = text.slice(end + 4);
        headers.push(header);
        const said = answer(header, socket);
        if (said !== null) socket.write(typeof said === "string" ? Buffer.from(said, "latin1") : said);
      }
    });
  }).then((proxy) => ({ ...proxy, headers }));
}

/** A raw client of HTTP. */
export interface RawClient extends Disposable {
  readonly socket: Socket;
  /** What was received. */
  received(): string;
  /** Sends text. */
  send(text: string): void;
  /** Resolves once `wanted` was received, or rejects at the end of the connection. */
  until(wanted: string | RegExp): Promise<string>;
  /** Resolves with all that was received, once the other end has closed. */
  rest(): Promise<string>;
}

/** Connects a raw client to `port` of loopback. */
export async function rawClient(port: number, host = "127.0.0.1"): Promise<RawClient> {
  const socket = connect({ port, host, allowHalfOpen: true });
  let text = "";
  let ended = false;
  const watchers = new Set<() => void>();
  const changed = (): void => watchers.forEach((watcher) => watcher());
  socket.on("data", (chunk: Buffer) => {
    text += chunk.toString("latin1");
    changed();
  });
  for (const event of ["end", "close"] as const) {
    socket.on(event, () => {
      ended = true;
      changed();
    });
  }
  socket.on("error", () => {});
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve);
    socket.once("error", reject);
  });
  const when = <T>(look: () => T | undefined): Promise<T> =>
    new Promise((resolve, reject) => {
      const watcher = (): void => {
        const found = look();
        if (found === undefined && !ended) return;
        watchers.delete(watcher);
        if (found === undefined) reject(new Error(`the connection ended after ${JSON.stringify(text)}`));
        else resolve(found);
      };
      watchers.add(watcher);
      watcher();
    });
  return {
    socket,
    received: () => text,
    send: (data) => void socket.write(data, "latin1"),
    until: (wanted) =>
      when(() => (typeof wanted === "string" ? text.includes(wanted) : wanted.test(text)) ? text : undefined),
    rest: () => when(() => ended ? text : undefined),
    [Symbol.dispose]: () => void socket.destroy(),
  };
}

/** Options of a toy provider, whose tokens have `tokenBytes` bytes. */
export function toySignOn(tokenBytes?: number): { registry: Registry; system: ProviderSystem } {
  const provider = toyProvider({
    changeStep: (role, step, result) =>
      role === "client" && step === 0 && tokenBytes !== undefined
        ? { ...result, token: new Uint8Array(tokenBytes).fill(7) }
        : result,
  });
  return { registry: createRegistry([provider]), system: toySystem() };
}
