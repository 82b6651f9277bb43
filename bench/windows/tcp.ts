/**
 * TCP over loopback, both ends in one process: this library's sockets and Deno's own.
 *
 * @module
 */

import { TcpSocket } from "../../ffi/winsock/tcp.ts";
import { NativeSystem } from "../../ffi/system.ts";
import { winsockOf } from "../../ffi/winsock/winsock.ts";
import type { Measured } from "../rounds.ts";

const MIB = 1 << 20;

/** One end of a connection, of this library or of Deno. */
interface End {
  /** Sends all of it. */
  write(p: Uint8Array): Promise<void>;
  /** Receives some; 0 at the end. */
  read(p: Uint8Array): Promise<number>;
  /** No more is sent. */
  closeWrite(): Promise<void>;
  close(): Promise<void>;
}

type Pair = readonly [client: End, server: End];

function ofLibrary(socket: TcpSocket): End {
  return {
    write: (p) => socket.send(p),
    read: (p) => socket.receive(p),
    // deno-lint-ignore require-await -- as Deno's
    closeWrite: async () => socket.closeWrite(),
    close: () => socket.close(),
  };
}

function ofDeno(conn: Deno.TcpConn): End {
  return {
    async write(p) {
      for (let at = 0; at < p.length;) at += await conn.write(p.subarray(at));
    },
    read: async (p) => await conn.read(p) ?? 0,
    closeWrite: () => conn.closeWrite(),
    // deno-lint-ignore require-await -- as the library's
    close: async () => conn.close(),
  };
}

async function connectLibrary(system: NativeSystem): Promise<Pair> {
  const winsock = winsockOf(system, "sockets");
  const [any] = await winsock.resolve("127.0.0.1", 0, "stream", "listen");
  const listener = new TcpSocket(winsock, any.version);
  listener.bind(any.bytes);
  listener.listen(1);
  const client = new TcpSocket(winsock, any.version);
  const accepting = listener.accept();
  await client.connect(listener.localAddress);
  const server = await accepting;
  await listener.close();
  for (const end of [client, server]) end.setNoDelay();
  return [ofLibrary(client), ofLibrary(server)];
}

async function connectDeno(): Promise<Pair> {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const accepting = listener.accept();
  const client = await Deno.connect({ hostname: "127.0.0.1", port: listener.addr.port });
  const server = await accepting;
  listener.close();
  for (const end of [client, server]) end.setNoDelay();
  return [ofDeno(client), ofDeno(server)];
}

async function readWhole(end: End, into: Uint8Array): Promise<boolean> {
  for (let at = 0; at < into.length;) {
    const got = await end.read(into.subarray(at));
    if (got === 0) return false;
    at += got;
  }
  return true;
}

/** Microseconds from the first byte's sending to the last one's return. */
async function roundTrip([client, server]: Pair, size: number, ms: number): Promise<number> {
  const answering = (async () => {
    const message = new Uint8Array(size);
    while (await readWhole(server, message)) await server.write(message);
  })();
  const message = new Uint8Array(size).fill(0x78);
  let count = 0;
  const start = performance.now();
  for (const end = start + ms; performance.now() < end; count++) {
    await client.write(message);
    if (!await readWhole(client, message)) throw new Error("the server ended the connection");
  }
  const elapsed = performance.now() - start;
  await client.closeWrite();
  await answering;
  return elapsed / count * 1000;
}

/** MiB/s, one end writing and the other reading. */
async function bulk([client, server]: Pair, size: number, ms: number): Promise<number> {
  const chunk = new Uint8Array(size).fill(0x78);
  const into = new Uint8Array(size);
  const start = performance.now();
  const writing = (async () => {
    for (const end = start + ms; performance.now() < end;) await client.write(chunk);
    await client.closeWrite();
  })();
  let bytes = 0;
  for (let got; (got = await server.read(into)) > 0;) bytes += got;
  const elapsed = performance.now() - start;
  await writing;
  return bytes / MIB / elapsed * 1000;
}

const ANSWERS: { readonly [verb: string]: typeof bulk } = { "round-trip": roundTrip, bulk };

/** Whether it is TCP that a request is about. */
export function isTcp(request: string): boolean {
  return Object.hasOwn(ANSWERS, request.split(" ")[0]);
}

function measured(name: string, connect: () => Promise<Pair>): Measured {
  return {
    name,
    async measure(request, ms) {
      const [verb, size] = request.split(" ");
      const pair = await connect();
      const answer = await ANSWERS[verb](pair, Number(size), ms);
      for (const end of pair) await end.close();
      return [answer];
    },
  };
}

/** This library's sockets, on a completion port. */
export function libraryTcp(): Measured {
  const system = new NativeSystem({ grants: ["sockets"] });
  return measured("ours", () => connectLibrary(system));
}

/** Deno's own. */
export function denoTcp(): Measured {
  return measured("Deno", connectDeno);
}
