/**
 * The overlapped sockets under load and under abuse, on Windows itself or on Wine.
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { createConnection, createServer, type Socket } from "node:net";
import { TransportError } from "../../errors.ts";
import { TcpSocket } from "../../ffi/winsock/tcp.ts";
import { NativeSystem } from "../../ffi/system.ts";
import { type Winsock, winsockOf } from "../../ffi/winsock/winsock.ts";
import { connected, listening, settled } from "../support/socket_suite.ts";
import { declareTests, windowsTest } from "./support/on_windows.ts";

const CONNECTIONS = 2000;
/** How many connections are being made at a time: a listener's queue is finite. */
const AT_ONCE = 100;

async function loadTest(name: string, body: (winsock: Winsock) => Promise<void>): Promise<void> {
  await windowsTest(name, async () => {
    const system = new NativeSystem({ grants: ["sockets"] });
    try {
      await body(winsockOf(system, "sockets"));
    } finally {
      system.close();
    }
    assertEquals(await settled(), {}, "everything is released");
  });
}

await loadTest(
  `${CONNECTIONS} connections are open at a time, and each carries its own bytes`,
  async (winsock) => {
    const listener = await listening(winsock, "127.0.0.1");
    const servers: TcpSocket[] = [];
    const clients: TcpSocket[] = [];
    const accepting = (async () => {
      while (servers.length < CONNECTIONS) servers.push(await listener.accept());
    })();
    for (let made = 0; made < CONNECTIONS; made += AT_ONCE) {
      await Promise.all(Array.from({ length: AT_ONCE }, async () => {
        const client = new TcpSocket(winsock, 4);
        clients.push(client);
        await client.connect(listener.localAddress);
      }));
    }
    await accepting;
    await Promise.all(clients.map(async (client, index) => {
      const mark = new Uint8Array(Uint32Array.of(index).buffer);
      await client.send(mark);
    }));
    const seen = await Promise.all(servers.map(async (server) => {
      const mark = new Uint8Array(4);
      for (let at = 0; at < 4;) {
        const got = await server.receive(mark.subarray(at));
        assert(got > 0, "the stream goes on");
        at += got;
      }
      return new DataView(mark.buffer).getUint32(0, true);
    }));
    assertEquals(new Set(seen).size, CONNECTIONS);
    await Promise.all([...clients, ...servers].map((socket) => socket.close()));
    await listener.close();
  },
);

await loadTest("a peer that resets ends a pending receive with an error that names it", async (winsock) => {
  const resets: Socket[] = [];
  const server = createServer((socket) => void resets.push(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const [at] = await winsock.resolve("127.0.0.1", (server.address() as { port: number }).port, "stream");
  const client = new TcpSocket(winsock, 4);
  await client.connect(at);
  const receiving = client.receive(new Uint8Array(16));
  while (resets.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  resets[0].resetAndDestroy();
  const error = await assertRejects(() => receiving, TransportError);
  assert(/CONNRESET|CONNABORTED|NETNAME_DELETED/.test(error.codeName), error.codeName);
  await client.close();
  await new Promise((resolve) => server.close(resolve));
});

await loadTest("a client that resets before it is accepted harms nobody", async (winsock) => {
  const listener = await listening(winsock, "127.0.0.1");
  const { port } = listener.localAddress;
  for (let count = 0; count < 20; count++) {
    await new Promise<void>((resolve) => {
      const socket = createConnection({ host: "127.0.0.1", port }, () => {
        socket.resetAndDestroy();
        resolve();
      });
      socket.on("error", () => resolve());
    });
  }
  const client = new TcpSocket(winsock, 4);
  const connecting = client.connect(listener.localAddress);
  let server: TcpSocket | null = null;
  const expected = Uint8Array.of(42);
  await connecting;
  await client.send(expected);
  while (server === null) {
    const candidate = await listener.accept().catch(() => null);
    if (candidate === null) continue;
    const got = new Uint8Array(1);
    const length = await candidate.receive(got).catch(() => 0);
    if (length === 1 && got[0] === 42) server = candidate;
    else await candidate.close();
  }
  await Promise.all([client.close(), server.close()]);
  await listener.close();
});

await loadTest("a stream that never has to wait leaves timers their turn", async (winsock) => {
  const [client, server] = await connected(winsock, "127.0.0.1");
  let fired = false;
  setTimeout(() => fired = true, 0);
  const [chunk, into] = [new Uint8Array(1024), new Uint8Array(65536)];
  let rounds = 0;
  for (; !fired && rounds < 20_000; rounds++) {
    await client.send(chunk);
    assert(await server.receive(into) > 0);
  }
  assert(fired, `no timer fired in ${rounds} rounds`);
  await Promise.all([client.close(), server.close()]);
});

await loadTest("a hundred pending receives end when their sockets are closed", async (winsock) => {
  const pairs = await Promise.all(Array.from({ length: 100 }, () => connected(winsock, "127.0.0.1")));
  const receiving = pairs.map(([client]) =>
    client.receive(new Uint8Array(16)).then(() => "ended", () => "failed")
  );
  await Promise.all(pairs.flat().map((socket) => socket.close()));
  for (const outcome of await Promise.all(receiving)) assert(["ended", "failed"].includes(outcome));
});

declareTests();
