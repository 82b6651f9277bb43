/** A listener in a process that may open few files, with more silent peers than it can hold. */

import { assert, assertEquals } from "@std/assert";
import { test } from "@test";
import { connect as connectSocket, createServer, type Socket } from "node:net";
import process from "node:process";
import { createRegistry } from "../../plugins/registry.ts";
import { connect } from "../../sockets/connect.ts";
import { listen } from "../../sockets/listen.ts";
import { childOutcome, children } from "../support/child.ts";
import { toyProvider, toySystem } from "../support/toy_provider.ts";

const HOST = "127.0.0.1";
const toy = () => ({ hostname: HOST, registry: createRegistry([toyProvider()]), system: toySystem() });

const PROGRAMS = {
  /** Answers each byte with the number of evicted peers, until the client closes. */
  async serves() {
    const failures: string[] = [];
    const note = (error: unknown) => void failures.push((error as Error).name);
    const listener = await listen({ ...toy(), port: Number(process.argv.at(-1)), onHandshakeError: note });
    const conn = await listener.accept();
    const p = new Uint8Array(1);
    while (await conn.read(p) !== null) {
      const dropped = failures.filter((name) => name === "StateError").length;
      await conn.write(Uint8Array.of(dropped >> 8, dropped & 255));
    }
    return failures;
  },
};

await children(PROGRAMS);

const DESCRIPTORS = 128;
const STRANGERS = 200;

/** A port without a listener. */
function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve) => {
    server.listen(0, HOST, () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** Connects as soon as there is a listener. */
async function dial(port: number): Promise<Socket> {
  for (;;) {
    const socket = connectSocket(port, HOST).on("error", () => {});
    const connected = await new Promise((resolve) => {
      socket.once("connect", () => resolve(true)).once("close", () => resolve(false));
    });
    if (connected) return socket.resume();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test(
  "listen() at the limit of file descriptors evicts silent peers for an honest client, and reports " +
    "each eviction",
  async () => {
    const port = await freePort();
    const outcome = childOutcome<string[]>(import.meta.url, "serves", {
      flags: process.versions.deno ? ["-A"] : [],
      args: [String(port)],
      descriptors: DESCRIPTORS,
      timeoutMs: 60_000,
    });
    const strangers = [await dial(port)];
    while (strangers.length < STRANGERS) {
      strangers.push(...await Promise.all(Array.from({ length: 10 }, () => dial(port))));
    }
    const client = await connect({ ...toy(), port, target: "host/x" });
    const answer = new Uint8Array(2);
    let [gone, told] = [0, -1];
    // The end of a connection arrives some time after it was reported.
    for (let times = 0; times < 200 && gone !== told; times++) {
      await client.write(Uint8Array.of(0));
      for (let read = 0; read < 2;) read += (await client.read(answer.subarray(read)))!;
      told = answer[0] << 8 | answer[1];
      await new Promise((resolve) => setTimeout(resolve, 20));
      gone = strangers.filter((socket) => socket.closed).length;
    }
    assertEquals(gone, told);
    assert(gone > 0, "nobody had to make room");
    await client.close();
    const unexpected = (await outcome).filter((name) =>
      !/^(StateError|AuthenticationError|TransportError)$/.test(name)
    );
    assertEquals(unexpected, []);
    for (const socket of strangers) socket.destroy();
  },
  { skip: process.platform === "win32" ? "Windows has no such limit" : null },
);
