/** Every native call of the sockets fails once: the error names the call and its code, and nothing stays open. */

import { assertEquals, assertInstanceOf } from "@std/assert";
import { test } from "@test";
import {
  type NativeError,
  SecureSocketError,
  TransportError,
  UnsupportedPlatformError,
} from "../../../errors.ts";
import { isReset, UdpSocket } from "../../../ffi/winsock/udp.ts";
import { simulate } from "../../../testing/simulator/simulate.ts";
import { TcpSocket } from "../../../ffi/winsock/tcp.ts";
import type { Winsock } from "../../../ffi/winsock/winsock.ts";
import { withHosts } from "../../support/secure_hosts.ts";

/** A use of sockets, which always closes what it opened. */
type Use = (winsock: Winsock) => Promise<void>;

/** Runs `fn` with sockets, and closes them. */
async function closing<S extends (TcpSocket | UdpSocket)[]>(
  sockets: S,
  fn: (...sockets: S) => unknown,
): Promise<void> {
  try {
    await fn(...sockets);
  } finally {
    for (const socket of sockets) await socket.close();
  }
}

const open: Use = async (winsock) => await closing([new TcpSocket(winsock, 4)], (socket) => socket.version);
const onListener = (fn: (listener: TcpSocket, winsock: Winsock) => unknown): Use => async (winsock) => {
  const [any] = await winsock.resolve("127.0.0.1", 0, "stream", "listen");
  await closing([new TcpSocket(winsock, 4)], async (listener) => {
    listener.bind(any.bytes);
    listener.listen(5);
    await fn(listener, winsock);
  });
};
const connect: Use = onListener((listener, winsock) =>
  closing([new TcpSocket(winsock, 4)], (socket) => socket.connect(listener.localAddress))
);
const onConnection = (fn: (one: TcpSocket, other: TcpSocket) => unknown): Use =>
  onListener((listener, winsock) =>
    closing([new TcpSocket(winsock, 4)], async (one) => {
      await one.connect(listener.localAddress);
      await closing([await listener.accept()], (other) => fn(one, other));
    })
  );
const onDatagrams = (fn: (socket: UdpSocket) => unknown): Use => async (winsock) => {
  const [any] = await winsock.resolve("127.0.0.1", 0, "datagram", "listen");
  await closing([new UdpSocket(winsock, 4)], async (socket) => {
    socket.bind(any.bytes);
    await fn(socket);
  });
};
const BYTE = Uint8Array.of(1);

/** The call, its code, what is done, and how many calls of it succeed before. */
const CASES: readonly (readonly [fn: string, code: string, use: Use, after?: number])[] = [
  ["WSAStartup", "WSASYSNOTREADY", open],
  ["CreateIoCompletionPort", "ERROR_NOT_ENOUGH_MEMORY", open],
  ["CreateIoCompletionPort", "ERROR_NOT_ENOUGH_MEMORY", open, 1],
  ["WSASocketW", "WSAEMFILE", open],
  ["bind", "WSAEACCES", onListener(() => {})],
  ["bind", "WSAEADDRINUSE", onListener(() => {})],
  ["listen", "WSAEADDRINUSE", onListener(() => {})],
  ["getsockname", "WSAENOBUFS", connect],
  ["WSAIoctl", "WSAEOPNOTSUPP", connect],
  ["ConnectEx", "WSAEHOSTUNREACH", connect],
  ["setsockopt", "WSAENOTCONN", connect],
  ["AcceptEx", "WSAENOBUFS", onListener((listener) => listener.accept())],
  ["getpeername", "WSAENOTCONN", onConnection((one) => one.remoteAddress)],
  ["WSASend", "WSAECONNRESET", onConnection((one) => one.send(BYTE))],
  ["WSARecv", "WSAECONNRESET", onConnection((one) => one.receive(new Uint8Array(1)))],
  ["shutdown", "WSAENOTCONN", onConnection((one) => one.closeWrite())],
  ["setsockopt", "WSAENOPROTOOPT", onConnection((one) => one.setNoDelay()), 2],
  ["WSASendTo", "WSAENOBUFS", onDatagrams((socket) => socket.sendTo(BYTE, socket.localAddress))],
  ["WSARecvFrom", "WSAECONNRESET", onDatagrams((socket) => socket.receiveFrom())],
];

for (const [fn, code, use, after = 0] of CASES) {
  test(`${fn} that fails with ${code}${after > 0 ? `, call ${after + 1}` : ""} is reported by name, and leaves nothing open`, async () => {
    const network = simulate();
    await withHosts(network, async ({ winsock }) => {
      network.failNext("client", fn, code, after);
      const error = await use(winsock).then(() => null, (error) => error);
      assertInstanceOf(error, SecureSocketError);
      const native = error.cause as NativeError;
      assertEquals([native.fn, native.codeName], [fn, code]);
      if (fn === "WSAIoctl") assertInstanceOf(error, UnsupportedPlatformError);
      else assertEquals([error.name, (error as TransportError).codeName], ["TransportError", code]);
      assertEquals(network.faultsInjected, 1);
    });
    // Again on the same network: everything still works.
    await withHosts(network, ({ winsock }) => connect(winsock));
  });
}

test("receiveFrom() reports an earlier datagram that did not arrive, where the system reports it", async () => {
  const network = simulate();
  await withHosts(network, async ({ winsock }) => {
    network.failNext("client", "WSAIoctl", "WSAEOPNOTSUPP");
    const [any] = await winsock.resolve("127.0.0.1", 0, "datagram", "listen");
    await closing([new UdpSocket(winsock, 4)], async (socket) => {
      socket.bind(any.bytes);
      const to = { ...socket.localAddress, port: 9 };
      to.bytes = to.bytes.slice();
      to.bytes.set([0, 9], 2);
      await socket.sendTo(BYTE, to);
      const error = await socket.receiveFrom().then(() => null, (error) => error);
      assertInstanceOf(error, TransportError);
      assertEquals([error.codeName, isReset(error)], ["ERROR_PORT_UNREACHABLE", true]);
      assertEquals(isReset(new TransportError("WSAENETDOWN", "")), false);
      assertEquals(isReset(new Error("WSAECONNRESET")), false);
    });
  });
});

test("begun() does not report success for a call that failed without an error", async () => {
  // deno-lint-ignore require-await -- withHosts() waits for a promise
  await withHosts(simulate(), async ({ winsock }) => {
    assertEquals(winsock.call.WSAGetLastError(), 0);
    assertEquals([winsock.begun(true), winsock.begun(false)], [0, 10107]);
  });
});
