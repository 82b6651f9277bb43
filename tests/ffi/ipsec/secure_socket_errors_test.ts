/**
 * Every documented error of the six secure socket functions: by its documented condition, where there is one, and by
 * a fault; with the raw functions, and through the library for the functions that it calls.
 */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { test } from "@test";
import { TransportError } from "../../../errors.ts";
import { UdpSocket } from "../../../ffi/winsock/udp.ts";
import { openLibrary } from "../../../ffi/mod.ts";
import {
  FWPUCLNT,
  SOCKET_SECURITY_PROTOCOL,
  SOCKET_SECURITY_QUERY_TEMPLATE,
} from "../../../ffi/raw/fwpuclnt.ts";
import { SECURE_SOCKET_ERRORS, WINSOCK_STATUS } from "../../../ffi/raw/winsock_status.ts";
import { AF, IPPROTO, SOCK, WS2_32 } from "../../../ffi/raw/ws2_32.ts";
import { simulate } from "../../../testing/simulator/simulate.ts";
import { TcpSocket } from "../../../ffi/winsock/tcp.ts";
import { anyAddress } from "../../../ffi/winsock/address.ts";
import { plainSettings, queryTemplate, targetName } from "../../support/ipsec_bytes.ts";
import { type Side, withHosts } from "../../support/secure_hosts.ts";
import { connected, listening } from "../../support/socket_suite.ts";

type Fn = keyof typeof SECURE_SOCKET_ERRORS;

/** The tables "Error code" of the functions' pages under MicrosoftDocs/sdk-api, sdk-api-src/content/ws2tcpip. */
const PAGES: { readonly [fn in Fn]: readonly string[] } = {
  WSASetSocketSecurity: ["WSAEAFNOSUPPORT", "WSAEINVAL", "WSAEISCONN", "WSAEMSGSIZE", "WSAENOTSOCK"],
  WSAQuerySocketSecurity: [
    "WSAEAFNOSUPPORT",
    "WSAECONNRESET",
    "WSAEFAULT",
    "WSAEINVAL",
    "WSAEMSGSIZE",
    "WSAENOTSOCK",
  ],
  WSASetSocketPeerTargetName: [
    "WSAEAFNOSUPPORT",
    "WSAEFAULT",
    "WSAEINVAL",
    "WSAEISCONN",
    "WSAEMSGSIZE",
    "WSAENOTSOCK",
  ],
  WSADeleteSocketPeerTargetName: [
    "WSAEAFNOSUPPORT",
    "WSAEFAULT",
    "WSAEINVAL",
    "WSAEMSGSIZE",
    "WSAENOTSOCK",
  ],
  WSAImpersonateSocketPeer: ["WSAEFAULT", "WSAEAFNOSUPPORT", "WSAEMSGSIZE", "WSAENOTSOCK"],
  WSARevertImpersonation: ["WSASYSCALLFAILURE"],
};

/** The raw functions, with sockets of every kind. */
interface Bench {
  readonly call: ReturnType<typeof openLibrary<typeof FWPUCLNT>>["call"];
  /** New sockets. */
  tcp(): bigint;
  udp(): bigint;
  /** Blocking, and of a type that IPsec does not support. */
  raw(): bigint;
  /** One end of a connection; `reset`: the peer has reset it. */
  connection(how?: "reset"): Promise<bigint>;
}

const { DEFAULT, IPSEC } = SOCKET_SECURITY_PROTOCOL;
const NO_SOCKET = 0x7777n;
const PEER = Uint8Array.of(AF.INET, 0, 0, 9, 10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0);
const OTHER_FAMILY = Uint8Array.of(1, ...PEER.subarray(1));
const SETTINGS = plainSettings(0);
const NAME = targetName(PEER, "host/server", DEFAULT);
const TEMPLATE = queryTemplate(PEER, 0, IPSEC);
const size = (bytes: number) => new Uint8Array(Uint32Array.of(bytes).buffer);

/** The documentation states no condition. */
const UNEXPLAINED = "no page states a condition";
type Condition = typeof UNEXPLAINED | ((bench: Bench) => number | Promise<number>);

const set = ({ call }: Bench, s: bigint, bytes = SETTINGS, length = bytes.length) =>
  call.WSASetSocketSecurity(s, bytes, length, 0n, 0n);
const query = (
  { call }: Bench,
  s: bigint,
  template: Uint8Array | null,
  length: Uint8Array | null = size(24),
) => call.WSAQuerySocketSecurity(s, template, template?.length ?? 0, new Uint8Array(24), length, 0n, 0n);
const name = ({ call }: Bench, s: bigint, bytes: Uint8Array | null, length = bytes?.length ?? 0) =>
  call.WSASetSocketPeerTargetName(s, bytes, length, 0n, 0n);
const forget = ({ call }: Bench, s: bigint, peer: Uint8Array | null, length = peer?.length ?? 0) =>
  call.WSADeleteSocketPeerTargetName(s, peer, length, 0n, 0n);
const impersonate = ({ call }: Bench, s: bigint, peer: Uint8Array | null, length = peer?.length ?? 0) =>
  call.WSAImpersonateSocketPeer(s, peer, length);

/** The condition of each error, from its documentation. */
const CONDITIONS: { readonly [fn in Fn]: { readonly [error: string]: Condition } } = {
  WSASetSocketSecurity: {
    WSAEAFNOSUPPORT: UNEXPLAINED,
    WSAEINVAL: (bench) => set(bench, bench.raw()),
    WSAEISCONN: async (bench) => set(bench, await bench.connection()),
    WSAEMSGSIZE: (bench) => set(bench, bench.tcp(), SETTINGS, 4),
    WSAENOTSOCK: (bench) => set(bench, NO_SOCKET),
  },
  WSAQuerySocketSecurity: {
    WSAEAFNOSUPPORT: (bench) => query(bench, bench.udp(), queryTemplate(OTHER_FAMILY, 0, IPSEC)),
    WSAECONNRESET: async (bench) => query(bench, await bench.connection("reset"), null),
    WSAEFAULT: (bench) => query(bench, bench.tcp(), null, null),
    WSAEINVAL: (bench) => query(bench, bench.raw(), TEMPLATE),
    WSAEMSGSIZE: (bench) =>
      query(bench, bench.udp(), TEMPLATE.subarray(0, SOCKET_SECURITY_QUERY_TEMPLATE.size - 1)),
    WSAENOTSOCK: (bench) => query(bench, NO_SOCKET, null),
  },
  WSASetSocketPeerTargetName: {
    WSAEAFNOSUPPORT: (bench) => name(bench, bench.udp(), targetName(OTHER_FAMILY, "host/server", DEFAULT)),
    WSAEFAULT: (bench) => name(bench, bench.tcp(), null, NAME.length),
    WSAEINVAL: (bench) => name(bench, bench.udp(), targetName(anyAddress(4), "host/server", DEFAULT)),
    WSAEISCONN: async (bench) => name(bench, await bench.connection(), NAME),
    WSAEMSGSIZE: (bench) => name(bench, bench.tcp(), NAME, NAME.length - 1),
    WSAENOTSOCK: (bench) => name(bench, NO_SOCKET, NAME),
  },
  WSADeleteSocketPeerTargetName: {
    WSAEAFNOSUPPORT: (bench) => forget(bench, bench.udp(), OTHER_FAMILY),
    WSAEFAULT: (bench) => forget(bench, bench.udp(), null, 16),
    WSAEINVAL: (bench) => forget(bench, bench.raw(), PEER),
    WSAEMSGSIZE: (bench) => forget(bench, bench.udp(), PEER, 15),
    WSAENOTSOCK: (bench) => forget(bench, NO_SOCKET, PEER),
  },
  WSAImpersonateSocketPeer: {
    WSAEFAULT: (bench) => impersonate(bench, bench.udp(), null, 16),
    WSAEAFNOSUPPORT: (bench) => impersonate(bench, bench.udp(), OTHER_FAMILY),
    WSAEMSGSIZE: (bench) => impersonate(bench, bench.udp(), PEER, 15),
    WSAENOTSOCK: (bench) => impersonate(bench, NO_SOCKET, PEER),
  },
  WSARevertImpersonation: { WSASYSCALLFAILURE: UNEXPLAINED },
};

/** Two further conditions for one code. */
const FURTHER: readonly (readonly [string, Fn, string, Exclude<Condition, string>])[] = [
  [
    "flags that are none",
    "WSASetSocketSecurity",
    "WSAEINVAL",
    (bench) => set(bench, bench.tcp(), plainSettings(0x80)),
  ],
  [
    "a name for a socket of another kind",
    "WSASetSocketPeerTargetName",
    "WSAEINVAL",
    (bench) => name(bench, bench.raw(), NAME),
  ],
];

/** A valid call of each function, for faults. */
const WELL: { readonly [fn in Fn]: (bench: Bench) => number | Promise<number> } = {
  WSASetSocketSecurity: (bench) => set(bench, bench.tcp()),
  WSAQuerySocketSecurity: async (bench) => query(bench, await bench.connection(), null),
  WSASetSocketPeerTargetName: (bench) => name(bench, bench.tcp(), NAME),
  WSADeleteSocketPeerTargetName: (bench) => forget(bench, bench.udp(), PEER),
  // It succeeds for a blocking socket with a token of its peer: see raw_impersonation_test.ts.
  WSAImpersonateSocketPeer: (bench) => impersonate(bench, bench.udp(), PEER),
  WSARevertImpersonation: ({ call }) => call.WSARevertImpersonation(),
};

/** Runs `fn` with the raw functions of a host; returns the last error after a failure, otherwise `"none"`. */
async function lastError(
  side: Side,
  fn: (bench: Bench) => number | Promise<number>,
): Promise<string> {
  const { winsock } = side;
  const { call } = openLibrary(side.system, "ipsec", FWPUCLNT);
  const ws = openLibrary(side.system, "ipsec", WS2_32).call;
  const end = winsock.use();
  const open: { close(): Promise<void> }[] = [];
  const keep = <S extends TcpSocket | UdpSocket>(socket: S): bigint => {
    open.push(socket);
    return socket.handleFor("try it");
  };
  try {
    const failed = await fn({
      call,
      tcp: () => keep(new TcpSocket(winsock, 4)),
      udp: () => keep(new UdpSocket(winsock, 4)),
      raw() {
        const handle = ws.WSASocketW(AF.INET, SOCK.RAW, IPPROTO.TCP, 0n, 0, 0);
        open.push({ close: () => Promise.resolve(void ws.closesocket(handle)) });
        return handle;
      },
      async connection(how) {
        const [one, other] = await connected(winsock, "localhost");
        open.push(one, other);
        if (how === "reset") {
          // It closes without receiving this.
          await one.send(Uint8Array.of(1));
          await other.close();
        }
        return one.handleFor("try it");
      },
    });
    if (failed === 0) return "none";
    return WINSOCK_STATUS[ws.WSAGetLastError()].name;
  } finally {
    for (const each of open) await each.close();
    end();
  }
}

test("the documented errors equal those of the pages, and each has its row", () => {
  for (const [fn, errors] of Object.entries(SECURE_SOCKET_ERRORS) as [Fn, readonly string[]][]) {
    assertEquals([...errors].sort(), [...PAGES[fn]].sort(), `${fn} of winsock_status.ts`);
    assertEquals(Object.keys(CONDITIONS[fn]).sort(), [...PAGES[fn]].sort(), `${fn} of CONDITIONS`);
  }
  const functions = Object.keys(PAGES).sort();
  assertEquals(Object.keys(SECURE_SOCKET_ERRORS).sort(), functions);
  assertEquals(Object.keys(FWPUCLNT.fns).filter((fn) => fn.startsWith("WSA")).sort(), functions);
});

for (const [fn, errors] of Object.entries(CONDITIONS) as [Fn, { [error: string]: Condition }][]) {
  for (const [error, condition] of Object.entries(errors)) {
    const when = condition === UNEXPLAINED ? "" : " where its page says so, and";
    test(`${fn} returns ${error}${when} by a fault`, async () => {
      if (condition !== UNEXPLAINED) {
        await withHosts(simulate(), async (client) => {
          assertEquals(await lastError(client, condition), error);
        });
      }
      const network = simulate();
      await withHosts(network, async (client) => {
        network.failNext("client", fn, error);
        assertEquals(await lastError(client, WELL[fn]), error);
        assertEquals(network.faultsInjected, 1);
      });
    });
  }
}

for (const [what, fn, error, condition] of FURTHER) {
  test(`${fn} returns ${error} for ${what}`, () =>
    withHosts(simulate(), async (client) => assertEquals(await lastError(client, condition), error)));
}

for (const fn of Object.keys(WELL) as Fn[]) {
  if (fn === "WSAImpersonateSocketPeer") continue;
  test(`${fn} returns no error for valid arguments`, () =>
    withHosts(simulate(), async (client) => assertEquals(await lastError(client, WELL[fn]), "none")));
}

/** One call of each of the functions that the library makes, on a socket that allows it. */
const LIBRARY: { readonly [fn: string]: (side: Side) => Promise<void> } = {
  async WSASetSocketSecurity({ winsock, secure }) {
    const socket = new TcpSocket(winsock, 4);
    try {
      secure.setSecurity(socket, SETTINGS);
    } finally {
      await socket.close();
    }
  },
  async WSASetSocketPeerTargetName({ winsock, secure }) {
    const socket = new TcpSocket(winsock, 4);
    try {
      secure.setPeerTarget(socket, NAME);
    } finally {
      await socket.close();
    }
  },
  async WSADeleteSocketPeerTargetName({ winsock, secure }) {
    const socket = new UdpSocket(winsock, 4);
    const [peer] = await winsock.resolve("server", 9, "datagram");
    try {
      secure.deletePeerTarget(socket, peer);
    } finally {
      await socket.close();
    }
  },
  async WSAQuerySocketSecurity({ winsock, secure }) {
    const listener = await listening(winsock, "client");
    const socket = new TcpSocket(winsock, listener.version);
    try {
      await socket.connect(listener.localAddress);
      secure.query(socket, null);
    } finally {
      await socket.close();
      await listener.close();
    }
  },
};

for (const [fn, call] of Object.entries(LIBRARY)) {
  test(`the library's ${fn} succeeds without faults`, () => withHosts(simulate(), (client) => call(client)));
  for (const error of PAGES[fn as Fn]) {
    test(`the library's ${fn} reports ${error}, and leaves nothing open`, async () => {
      const network = simulate();
      await withHosts(network, async (client) => {
        network.failNext("client", fn, error);
        const thrown = await assertRejects(() => call(client), TransportError, `${fn} failed with ${error}`);
        assertEquals(thrown.codeName, error);
      });
    });
  }
}

for (const error of PAGES.WSAQuerySocketSecurity) {
  test(`the library's query reports ${error} of its second call too`, async () => {
    const network = simulate();
    await withHosts(network, async (client) => {
      network.failNext("client", "WSAQuerySocketSecurity", error, 1);
      await assertRejects(() => LIBRARY.WSAQuerySocketSecurity(client), TransportError, error);
    });
  });
}

test("a fault of an unknown function or code is refused", () => {
  const network = simulate();
  assertThrows(() => network.failNext("client", "WSAConnect", "WSAEINVAL"), TypeError, "WSAConnect");
  assertThrows(() => network.failNext("client", "bind", "WSAENOTHING"), TypeError, "WSAENOTHING");
});
