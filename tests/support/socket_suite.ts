/** The tests of overlapped sockets, for a real Windows and for a simulated one. */

import { assert, assertEquals, assertRejects, assertStrictEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import { StateError, TransportError } from "../../errors.ts";
import { UdpSocket } from "../../ffi/winsock/udp.ts";
import { liveHandles } from "../../ffi/handles.ts";
import { TcpSocket } from "../../ffi/winsock/tcp.ts";
import type { PooledBuffer } from "../../ffi/winsock/buffers.ts";
import type { SocketAddress } from "../../ffi/winsock/address.ts";
import type { NativeSystem } from "../../ffi/system.ts";
import { type Winsock, winsockOf } from "../../ffi/winsock/winsock.ts";

/** Where the suite runs. */
export interface SocketWorld {
  /** Opens a system with the grant `sockets`. */
  open(): NativeSystem;
  /** An address of that machine, by IP version. */
  readonly addresses: { readonly [version in 4 | 6]: string };
  /** A name of that machine. */
  readonly name: string;
  /** Why it cannot run here. */
  readonly skip: string | null;
}

const encode = (text: string) => new TextEncoder().encode(text);

/**
 * Waits until no more than `expected` is open: a closed system releases its port when the operating system has
 * released it.
 */
export async function settled(
  expected: { [kind: string]: number } = {},
): Promise<{ [kind: string]: number }> {
  const kinds = Object.keys(expected).length;
  for (let turn = 0; turn < 200 && Object.keys(liveHandles()).length > kinds; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return liveHandles();
}

/** A listening socket on a free port of `host`. */
export async function listening(winsock: Winsock, host: string): Promise<TcpSocket> {
  const [any] = await winsock.resolve(host, 0, "stream", "listen");
  const listener = new TcpSocket(winsock, any.version);
  listener.bind(any.bytes);
  listener.listen(200);
  return listener;
}

/** Two connected sockets. */
export async function connected(winsock: Winsock, host: string): Promise<[TcpSocket, TcpSocket]> {
  const listener = await listening(winsock, host);
  const client = new TcpSocket(winsock, listener.version);
  const accepting = listener.accept();
  await client.connect(listener.localAddress);
  const server = await accepting;
  await listener.close();
  return [client, server];
}

async function receiveAll(socket: TcpSocket, length: number): Promise<Uint8Array> {
  const all = new Uint8Array(length);
  for (let at = 0; at < length;) {
    const got = await socket.receive(all.subarray(at));
    if (got === 0) throw new Error(`the stream ended after ${at} bytes`);
    at += got;
  }
  return all;
}

/** Declares the suite. */
export function socketSuite(world: SocketWorld): void {
  const check = (name: string, fn: (winsock: Winsock) => Promise<void>) =>
    test(name, async () => {
      const system = world.open();
      try {
        await fn(winsockOf(system, "sockets"));
      } finally {
        system.close();
      }
      assertEquals(await settled(), {}, "everything is released");
    }, { skip: world.skip });

  for (const version of [4, 6] as const) {
    check(
      `IPv${version}: send() and receive() work in both directions, and both ends report each other's address`,
      async (winsock) => {
        const [client, server] = await connected(winsock, world.addresses[version]);
        assertEquals(client.version, version);
        const ends = ({ hostname, port }: SocketAddress) => [hostname, port];
        assertEquals(ends(client.localAddress), ends(server.remoteAddress));
        assertEquals(ends(client.remoteAddress), ends(server.localAddress));
        client.setNoDelay();
        await client.send(encode("there"));
        assertEquals(await receiveAll(server, 5), encode("there"));
        await server.send(encode("and back"));
        assertEquals(await receiveAll(client, 8), encode("and back"));
        await client.close();
        await server.close();
      },
    );
  }

  check("resolve() returns the addresses of this machine's name", async (winsock) => {
    const [client, server] = await connected(winsock, world.name);
    const known = Object.values(world.addresses);
    assert(known.includes(client.remoteAddress.hostname), client.remoteAddress.hostname);
    for (const { version, bytes } of await winsock.resolve(world.name, 7, "stream")) {
      // The port is the second field of both socket addresses, in network order.
      assertEquals([version === 4 || version === 6, bytes[2], bytes[3]], [true, 0, 7]);
    }
    await client.close();
    await server.close();
  });

  check("send() sends a megabyte and does not change it", async (winsock) => {
    const [client, server] = await connected(winsock, world.addresses[4]);
    const data = new Uint8Array(1 << 20).map((_, index) => index * 7 + (index >> 8));
    const copy = data.slice();
    const [received] = await Promise.all([receiveAll(server, data.length), client.send(data)]);
    assertEquals(received, copy);
    assertEquals(data, copy);
    await client.close();
    await server.close();
  });

  check(
    "receive() keeps no copy of the data once the stream pauses or ends",
    async (winsock) => {
      const [client, server] = await connected(winsock, world.addresses[4]);
      const lent = new Set<PooledBuffer>();
      const take = winsock.buffers.take.bind(winsock.buffers);
      winsock.buffers.take = (length) => {
        const buffer = take(length);
        const { release } = buffer;
        lent.add(buffer);
        return Object.assign(buffer, {
          release() {
            lent.delete(buffer);
            release();
          },
        });
      };
      const part = new Uint8Array(64);
      await client.send(new Uint8Array(200).fill(7));
      assertEquals(lent.size, 0, "what was sent");
      const memory = new Set<PooledBuffer>();
      for (const length of [64, 64, 64, 8]) {
        assertEquals(await server.receive(part), length);
        assertEquals(part.subarray(0, length).every((byte) => byte === 7), true);
        // After a part that filled its buffer another is likely: the buffer is kept for it.
        assertEquals(lent.size, length === part.length ? 1 : 0, `${length} bytes`);
        for (const buffer of lent) memory.add(buffer);
      }
      assertEquals(memory.size, 1, "one buffer for all");
      const clean = () => [...memory].every(({ bytes }) => bytes.every((byte) => byte === 0));
      assertEquals(clean(), true, "after a part that did not fill it");
      await client.send(new Uint8Array(130).fill(7));
      await server.receive(part);
      // Of another length than the one before it.
      assertEquals(await server.receive(new Uint8Array(32)), 32);
      assertEquals(lent.size, 1);
      // Filled completely, and nothing after it.
      await client.send(new Uint8Array(30).fill(7));
      assertEquals(await server.receive(new Uint8Array(32)), 32);
      for (const buffer of lent) memory.add(buffer);
      await receiveAll(server, 32);
      await client.close();
      assertEquals(await server.receive(new Uint8Array(32)), 0);
      assertEquals([lent.size, clean()], [0, true], "at the end of the stream");
      await server.close();
    },
  );

  check("close() clears the buffer of received data", async (winsock) => {
    const [client, server] = await connected(winsock, world.addresses[4]);
    const take = winsock.buffers.take.bind(winsock.buffers);
    const memory = new Set<PooledBuffer>();
    winsock.buffers.take = (length) => {
      const buffer = take(length);
      memory.add(buffer);
      return buffer;
    };
    await client.send(new Uint8Array(64).fill(7));
    assertEquals(await server.receive(new Uint8Array(64)), 64);
    await server.close();
    await client.close();
    assertEquals([...memory].every(({ bytes }) => bytes.every((byte) => byte === 0)), true);
  });

  check("send() copies its data before it returns", async (winsock) => {
    const [client, server] = await connected(winsock, world.addresses[4]);
    const data = encode("original");
    const sending = client.send(data);
    data.fill(0);
    await sending;
    assertEquals(await receiveAll(server, 8), encode("original"));
    await client.close();
    await server.close();
  });

  check("closeWrite() ends the stream for the peer, and the other direction stays open", async (winsock) => {
    const [client, server] = await connected(winsock, world.addresses[4]);
    client.closeWrite();
    assertEquals(await server.receive(new Uint8Array(8)), 0);
    await server.send(encode("still here"));
    assertEquals(await receiveAll(client, 10), encode("still here"));
    await client.close();
    await server.close();
  });

  check(
    "connect() to a port without a listener rejects with the error's name and what to do",
    async (winsock) => {
      const [any] = await winsock.resolve(world.addresses[4], 0, "stream", "listen");
      const [nobody, client] = [new TcpSocket(winsock, 4), new TcpSocket(winsock, 4)];
      // Bound but not listening, so that no client gets this port as its own and connects to itself.
      nobody.bind(any.bytes);
      const connecting = client.connect(nobody.localAddress);
      const error = await assertRejects(() => connecting, TransportError, "Cannot connect to");
      assertEquals(/REFUSED/.test(error.codeName), true, error.message);
      await client.close();
      await nobody.close();
    },
  );

  check("resolve() of an unknown name rejects with an error that states it", async (winsock) => {
    await assertRejects(
      () => winsock.resolve("no-such-name.invalid", 1, "stream"),
      TransportError,
      "Cannot find the address of no-such-name.invalid",
    );
  });

  check("close() rejects a pending receive() and a pending accept()", async (winsock) => {
    const [client, server] = await connected(winsock, world.addresses[4]);
    const listener = await listening(winsock, world.addresses[4]);
    const waiting = [
      assertRejects(() => client.receive(new Uint8Array(1)), StateError, "closed"),
      assertRejects(() => listener.accept(), StateError, "closed"),
    ];
    await Promise.all([client.close(), listener.close()]);
    await Promise.all(waiting);
    assertThrows(() => client.localAddress, StateError, "closed");
    await assertRejects(() => client.send(encode("x")), StateError, "closed");
    await client.close();
    await server.close();
  });

  check("receive() rethrows the signal's reason, and the socket still works", async (winsock) => {
    const [client, server] = await connected(winsock, world.addresses[4]);
    const controller = new AbortController();
    const reason = new Error("enough");
    const waiting = client.receive(new Uint8Array(8), controller.signal).catch((error) => error);
    setTimeout(() => controller.abort(reason), 10);
    assertStrictEquals(await waiting, reason);
    assertStrictEquals(await client.send(encode("x"), controller.signal).catch((error) => error), reason);
    await server.send(encode("later"));
    assertEquals(await receiveAll(client, 5), encode("later"));
    await client.close();
    await server.close();
  });

  test("a closed system opens nothing, and what is open stays usable", async () => {
    const system = world.open();
    const winsock = winsockOf(system, "sockets");
    const [client, server] = await connected(winsock, world.addresses[4]);
    system.close();
    await client.send(encode("on"));
    assertEquals(await receiveAll(server, 2), encode("on"));
    await client.close();
    await server.close();
    assertEquals(await settled(), {}, "everything is released");
    assertThrows(() => new TcpSocket(winsock, 4), StateError, "closed");
  }, { skip: world.skip });

  for (const version of [4, 6] as const) {
    check(`IPv${version}: receiveFrom() returns whole datagrams with their senders`, async (winsock) => {
      const [any] = await winsock.resolve(world.addresses[version], 0, "datagram", "listen");
      const [a, b] = [new UdpSocket(winsock, version), new UdpSocket(winsock, version)];
      a.bind(any.bytes);
      b.bind(any.bytes);
      await a.sendTo(encode("one"), b.localAddress);
      await a.sendTo(encode("two!"), b.localAddress);
      const first = await b.receiveFrom();
      assertEquals([first.data, first.from.port], [encode("one"), a.localAddress.port]);
      assertEquals(first.from.version, version);
      assertEquals((await b.receiveFrom()).data, encode("two!"));
      const long = Uint8Array.from({ length: 60_000 }, (_, index) => index % 251);
      for (const data of [long, new Uint8Array(), encode("short")]) {
        await a.sendTo(data, b.localAddress);
        assertEquals((await b.receiveFrom()).data, data);
      }
      const stop = new AbortController();
      const [one, other, given] = [b.receiveFrom(), b.receiveFrom(), b.receiveFrom(stop.signal)];
      stop.abort(new Error("enough"));
      await assertRejects(() => given, Error, "enough");
      await a.sendTo(encode("1"), b.localAddress);
      await a.sendTo(encode("2"), b.localAddress);
      assertEquals([(await one).data, (await other).data], [encode("1"), encode("2")]);
      await a.close();
      await b.close();
    });

    check(
      `IPv${version}: receiveFrom() is not ended by a datagram to a port without a receiver`,
      async (winsock) => {
        const [any] = await winsock.resolve(world.addresses[version], 0, "datagram", "listen");
        const [a, b, gone] = [1, 2, 3].map(() => new UdpSocket(winsock, version));
        for (const socket of [a, b, gone]) socket.bind(any.bytes);
        const nobody = gone.localAddress;
        await gone.close();
        const receiving = a.receiveFrom();
        await a.sendTo(encode("?"), nobody);
        await a.sendTo(encode("?"), nobody);
        await b.sendTo(encode("here"), a.localAddress);
        assertEquals((await receiving).data, encode("here"));
        await a.close();
        await b.close();
      },
    );
  }

  check("200 connections at once use one completion port", async (winsock) => {
    const listener = await listening(winsock, world.addresses[4]);
    const peer = listener.localAddress;
    const serve = async () => {
      const socket = await listener.accept();
      await socket.send(await receiveAll(socket, 4));
      await socket.close();
    };
    const use = async (index: number) => {
      const socket = new TcpSocket(winsock, 4);
      await socket.connect(peer);
      const data = Uint8Array.of(index, index >> 8, 1, 2);
      await socket.send(data);
      assertEquals(await receiveAll(socket, 4), data);
      await socket.close();
    };
    const using = Promise.all(Array.from({ length: 200 }, (_, index) => [serve(), use(index)]).flat());
    const { socket, "completion port": ports } = liveHandles();
    assertEquals([ports, socket > 200], [1, true]);
    await using;
    await listener.close();
  });
}
