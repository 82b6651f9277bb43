/**
 * Helpers for the tests of ./postgres: a real server, clients of node-postgres, and servers that a test implements.
 */

import { createServer, type Socket } from "node:net";
import { Buffer } from "node:buffer";
import pg from "pg";
import { type PostgresStream, postgresStream, type PostgresStreamOptions } from "../../postgres/mod.ts";
import { Incoming } from "../../postgres/incoming.ts";
import { type Postgres, startPostgres } from "../rig/postgres.ts";
import type { Realm } from "../rig/realm.ts";
import type { System } from "../../mod.ts";
import { inRealm } from "./kerberos.ts";

/** The part of a `pg.Client` that is used here; the package brings no types. */
export interface Client {
  connect(): Promise<void>;
  query<Row = Record<string, unknown>>(text: string, values?: unknown[]): Promise<{ rows: Row[] }>;
  end(): Promise<void>;
  on(event: "error", listener: (error: Error) => void): this;
  readonly connection: { readonly stream: PostgresStream };
  readonly processID: number;
}

/** Options of a client, in addition to those of its stream. */
export interface Given extends PostgresStreamOptions {
  readonly port: number;
  readonly host?: string;
  readonly database?: string;
  readonly password?: string;
}

/** Makes a client for alice that is not connected yet. */
export function clientOf(
  { port, host = "localhost", database = "postgres", password, ...options }: Given,
): Client {
  const stream = postgresStream(options);
  // A test whose two ends wait for each other fails instead of waiting for ever.
  const connectionTimeoutMillis = 30_000;
  return new pg.Client({
    ...{ host, port, user: "alice", database, password, stream, connectionTimeoutMillis },
  }) as unknown as Client;
}

/** Connects, runs `body`, and ends the connection. */
export async function connected<T>(client: Client, body: (client: Client) => Promise<T>): Promise<T> {
  await client.connect();
  try {
    return await body(client);
  } finally {
    await client.end();
  }
}

/** Runs `body` with a real server and clients of it. */
export function withServer(
  body: (
    client: (given?: Partial<Given>) => Client,
    server: Postgres,
    realm: Realm,
    system: System,
  ) => Promise<void>,
): Promise<void> {
  return inRealm(async (realm, system) => {
    await using server = await startPostgres(realm);
    await body((given = {}) => clientOf({ port: server.port, system, ...given }), server, realm, system);
  });
}

/** One connection to a server that a test implements. */
export interface Visitor {
  readonly socket: Socket;
  readonly incoming: Incoming;
  /** Sends bytes, given as bytes, as text, or as a big-endian number of four bytes. */
  send(...parts: (Uint8Array | string | number)[]): void;
  /** Everything the client sends until it closes. */
  rest(): Promise<Buffer>;
}

/** A server that a test implements, and its result. */
export interface WrittenServer extends AsyncDisposable {
  readonly port: number;
  /** What `serve` returned for the first connection. */
  readonly served: Promise<unknown>;
}

/** Bytes from numbers of four bytes, text and bytes. */
export function bytesOf(...parts: (Uint8Array | string | number)[]): Buffer {
  return Buffer.concat(parts.map((part) => {
    if (typeof part === "string") return Buffer.from(part, "latin1");
    if (typeof part !== "number") return Buffer.from(part);
    const number = Buffer.alloc(4);
    number.writeUInt32BE(part);
    return number;
  }));
}

/** Encodes a message of the server: its type, its length, its parts. */
export function message(type: string, ...parts: (Uint8Array | string | number)[]): Buffer {
  const body = bytesOf(...parts);
  return bytesOf(type, 4 + body.length, body);
}

/** Listens on loopback; `serve` answers each connection. */
export async function writtenServer(serve: (visitor: Visitor) => unknown): Promise<WrittenServer> {
  const sockets = new Set<Socket>();
  const { promise, resolve, reject } = Promise.withResolvers<unknown>();
  promise.catch(() => {});
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    const incoming = new Incoming(socket);
    const visitor: Visitor = {
      socket,
      incoming,
      send: (...parts) => void socket.write(bytesOf(...parts)),
      async rest() {
        const chunks: Buffer[] = [];
        for (let chunk = await incoming.any(); chunk !== null; chunk = await incoming.any()) {
          chunks.push(chunk);
        }
        return Buffer.concat(chunks);
      },
    };
    Promise.resolve(serve(visitor)).then(resolve, (error) => {
      socket.destroy();
      reject(error);
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return {
    port: (server.address() as { port: number }).port,
    served: promise,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((done) => server.close(done));
    },
  };
}
