/**
 * The test double for fwpuclnt.dll answers as the documentation of the six functions says. These tests are what
 * lets others trust it: they prove nothing about Windows.
 */

import { assert, assertEquals } from "@std/assert";
import { clearLog, readLog, utf16Hex } from "./support/call_log.ts";
import { machine } from "./support/machine.ts";
import { declareTests, windowsTest } from "./support/on_windows.ts";
import {
  address,
  AF_INET6,
  DGRAM,
  RAW,
  settings,
  STREAM,
  targetName,
  template,
  Winsock,
} from "./support/winsock.ts";

const skip = machine.run === null ? "the fixture is only built by deno task test:windows on Linux" : null;
const fixtureTest = (name: string, body: (w: Winsock) => void) =>
  windowsTest(name, () => {
    using w = new Winsock();
    w.control("reset");
    clearLog();
    body(w);
  }, { skip });

const WSAEFAULT = 10014;
const WSAEINVAL = 10022;
const WSAENOTSOCK = 10038;
const WSAEMSGSIZE = 10040;
const WSAEAFNOSUPPORT = 10047;
const WSAEISCONN = 10056;
const WSASYSCALLFAILURE = 10107;
const NOBODY = new Uint8Array(16);
const PEER = address("127.0.0.1", 4242);
const GARBAGE = 0x7fff_fff0n;

const set = (w: Winsock, socket: bigint, bytes: Uint8Array | null, length = bytes?.length ?? 0) =>
  w.error(w.fwp.call.WSASetSocketSecurity(socket, bytes, length, null, 0n));
const name = (w: Winsock, socket: bigint, bytes: Uint8Array | null, length = bytes?.length ?? 0) =>
  w.error(w.fwp.call.WSASetSocketPeerTargetName(socket, bytes, length, null, 0n));
const remove = (w: Winsock, socket: bigint, bytes: Uint8Array | null, length = bytes?.length ?? 0) =>
  w.error(w.fwp.call.WSADeleteSocketPeerTargetName(socket, bytes, length, null, 0n));
const query = (
  w: Winsock,
  socket: bigint,
  ask: Uint8Array | null,
  info: Uint8Array | null,
  room?: number,
) => {
  const length = new Uint8Array(Uint32Array.of(room ?? info?.length ?? 0).buffer);
  const code = w.error(
    w.fwp.call.WSAQuerySocketSecurity(socket, ask, ask?.length ?? 0, info, length, null, 0n),
  );
  return { code, length: new DataView(length.buffer).getUint32(0, true) };
};

await fixtureTest("settings are taken once, before bind and connect, on both address families", (w) => {
  for (const [family, type] of [[2, STREAM], [2, DGRAM], [AF_INET6, STREAM], [AF_INET6, DGRAM]]) {
    const socket = w.socket(family, type);
    assertEquals(set(w, socket, settings(0, 0)), 0);
    assertEquals(set(w, socket, settings(0, 0)), WSAEINVAL);
  }
  assertEquals(set(w, w.socket(), null), 0);
  const bound = w.socket();
  w.bind(bound);
  assertEquals(set(w, bound, settings(0, 0)), WSAEINVAL);
  const { client, server } = w.pair(() => {});
  assertEquals(set(w, client, settings(0, 0)), WSAEISCONN);
  assertEquals(set(w, server, settings(0, 0)), WSAEISCONN);
});

await fixtureTest("settings with unknown values or too short a length are refused", (w) => {
  const refused: [Uint8Array, number, number?][] = [
    [settings(3, 0), WSAEINVAL],
    [settings(0, 4), WSAEINVAL],
    [settings(0, 0), WSAEMSGSIZE, 7],
    [new Uint8Array(88), WSAEINVAL],
    [settings(1, 0), WSAEMSGSIZE, 9],
  ];
  for (const [bytes, code, length] of refused) assertEquals(set(w, w.socket(), bytes, length), code);
  assertEquals(set(w, GARBAGE, settings(0, 0)), WSAENOTSOCK);
});

await fixtureTest("a socket that is neither stream nor datagram is refused", (w) => {
  assertEquals(set(w, w.socket(2, RAW), settings(0, 0)), WSAEINVAL);
});

await fixtureTest("a closed socket's handle, given to a new socket, carries nothing over", (w) => {
  const first = w.socket();
  assertEquals(set(w, first, settings(0, 0)), 0);
  w.close(first);
  for (let tries = 0; tries < 50; tries++) {
    const socket = w.socket();
    assertEquals(set(w, socket, settings(0, 0)), 0);
    w.close(socket);
  }
});

await fixtureTest("IPsec settings are read field by field, with names in bytes", (w) => {
  const strings = ["alice", "EXAMPLE", "secret"].map((text) => utf16Hex(text));
  const bytes = new Uint8Array(88 + 32);
  const view = new DataView(bytes.buffer);
  [1, 1, 2].forEach((value, index) => view.setUint32(index * 4, value, true));
  [10, 14, 12].forEach((value, index) => view.setUint32(72 + index * 4, value, true));
  bytes.set(strings.join("").match(/../g)!.map((digits) => parseInt(digits, 16)), 84);
  assertEquals(set(w, w.socket(), bytes, 84 + 36), 0);
  const [call] = readLog();
  assertEquals([call.UserName, call.DomainName, call.Password], strings);
  assertEquals([call.SecurityProtocol, call.SecurityFlags, call.IpsecFlags], ["1", "1", "2"]);
  assertEquals(call.AuthipMMPolicyKey, "00000000-0000-0000-0000-000000000000");
  view.setUint32(80, 0xffff_ff00, true);
  assertEquals(set(w, w.socket(), bytes), WSAEMSGSIZE);
  view.setUint32(80, 12, true);
  bytes[50] = 1;
  assertEquals(set(w, w.socket(), bytes), WSAEINVAL, "Reserved is not zero");
  bytes[50] = 0;
  bytes[12] = 1;
  assertEquals(set(w, w.socket(), bytes), WSAEINVAL, "no provider context has this key");
});

await fixtureTest("a target name is checked and logged as it was given", (w) => {
  const socket = w.socket();
  assertEquals(name(w, socket, targetName(1, NOBODY, "host/server.example.test")), 0);
  const [call] = readLog();
  assertEquals(call.AllStrings, utf16Hex("host/server.example.test"));
  assertEquals(call.PeerTargetNameStringLen, String(2 * "host/server.example.test".length));
  assertEquals(name(w, socket, null), WSAEFAULT);
  assertEquals(name(w, socket, targetName(1, NOBODY, "x"), 139), WSAEMSGSIZE);
  assertEquals(name(w, socket, targetName(1, NOBODY, "xyz"), 141), WSAEMSGSIZE);
  assertEquals(name(w, socket, targetName(3, NOBODY, "x")), WSAEINVAL);
  assertEquals(name(w, GARBAGE, targetName(1, NOBODY, "x")), WSAENOTSOCK);
  assertEquals(name(w, w.pair(() => {}).client, targetName(1, NOBODY, "x")), WSAEISCONN);
});

await fixtureTest("a datagram socket's target name needs the peer's address, and may be set again", (w) => {
  const socket = w.socket(2, DGRAM);
  assertEquals(name(w, socket, targetName(1, NOBODY, "x")), WSAEAFNOSUPPORT);
  assertEquals(name(w, socket, targetName(1, address("0.0.0.0", 0), "x")), WSAEINVAL);
  assertEquals(name(w, socket, targetName(1, PEER, "x")), 0);
  assertEquals(name(w, socket, targetName(1, address("127.0.0.1", 4243), "y")), 0);
  assertEquals(readLog().at(-1)!.PeerAddress, { family: 2, port: 4243, host: "127.0.0.1" });
});

await fixtureTest("deleting a target name checks the address", (w) => {
  const socket = w.socket(2, DGRAM);
  assertEquals(remove(w, socket, PEER), 0);
  assertEquals(readLog()[0].PeerAddr, { family: 2, port: 4242, host: "127.0.0.1" });
  assertEquals(remove(w, socket, null), WSAEFAULT);
  assertEquals(remove(w, socket, PEER, 15), WSAEMSGSIZE);
  assertEquals(remove(w, socket, new Uint8Array(16).fill(9)), WSAEAFNOSUPPORT);
  assertEquals(remove(w, GARBAGE, PEER), WSAENOTSOCK);
});

await fixtureTest("both ends of a connection report what was set before it", (w) => {
  for (const [flags, expected] of [[0, 1], [1, 3]]) {
    const { client, server } = w.pair((socket) => assertEquals(set(w, socket, settings(0, flags)), 0));
    for (const end of [client, server]) {
      const info = new Uint8Array(24);
      assertEquals(query(w, end, null, info), { code: 0, length: 24 });
      const view = new DataView(info.buffer);
      assertEquals([view.getUint32(0, true), view.getUint32(4, true)], [1, expected]);
      assertEquals([view.getBigUint64(8, true), view.getBigUint64(16, true)], [0n, 0n]);
    }
  }
  const plain = w.pair(() => {});
  const info = new Uint8Array(24);
  assertEquals(query(w, plain.client, null, info).code, 0);
  assertEquals(new DataView(info.buffer).getUint32(4, true), 0, "nothing was asked for");
});

await fixtureTest(
  "a query with too small a buffer reports the size that it needs, with either documented code",
  (w) => {
    const socket = w.socket();
    assertEquals(query(w, socket, null, null), { code: WSAEMSGSIZE, length: 24 });
    assertEquals(query(w, socket, null, new Uint8Array(24), 23), { code: WSAEMSGSIZE, length: 24 });
    w.control("size_probe", WSAEFAULT);
    assertEquals(query(w, socket, null, null), { code: WSAEFAULT, length: 24 });
    const ipsec2 = template(2, NOBODY, 0, { flags: 0, fieldMask: 0 });
    assertEquals(query(w, socket, ipsec2, null), { code: WSAEFAULT, length: 64 });
    const noLength = w.fwp.call.WSAQuerySocketSecurity(socket, null, 0, null, null, null, 0n);
    assertEquals(w.error(noLength), WSAEFAULT);
  },
);

await fixtureTest("a query template is checked", (w) => {
  const info = new Uint8Array(64);
  assertEquals(query(w, w.socket(), template(3, NOBODY, 0), info).code, WSAEINVAL);
  assertEquals(query(w, w.socket(), template(2, NOBODY, 0), info).code, WSAEMSGSIZE);
  assertEquals(query(w, w.socket(), template(1, NOBODY, 0).subarray(0, 143), info).code, WSAEMSGSIZE);
  const datagram = w.socket(2, DGRAM);
  assertEquals(query(w, datagram, null, info).code, WSAEMSGSIZE);
  assertEquals(query(w, datagram, template(1, NOBODY, 0), info).code, WSAEAFNOSUPPORT);
  assertEquals(query(w, datagram, template(1, PEER, 0), null).code, WSAEMSGSIZE);
  assertEquals(query(w, datagram, template(1, PEER, 0), info).code, 0);
  assertEquals(query(w, GARBAGE, null, info).code, WSAENOTSOCK);
});

await fixtureTest("token handles come back only where an access mask asks for them, and are real", (w) => {
  const { client } = w.pair((socket) => assertEquals(set(w, socket, settings(0, 0)), 0));
  w.control("user_token", 1);
  w.control("mm_sa_id", 0x1234_5678_9abc_def0n);
  const info = new Uint8Array(64);
  const ask = template(2, NOBODY, 8, { flags: 1, fieldMask: 3 });
  assertEquals(query(w, client, ask, info), { code: 0, length: 64 });
  const view = new DataView(info.buffer);
  assertEquals(view.getUint32(4, true), 5);
  assertEquals(view.getBigUint64(24, true), 0x1234_5678_9abc_def0n);
  const call = readLog().at(-1)!;
  assertEquals([call.PeerTokenAccessMask, call.Flags, call.FieldMask], ["8", "1", "3"]);
  for (const offset of [8, 16]) {
    const handle = view.getBigUint64(offset, true);
    assert(handle !== 0n, "there is a handle");
    assertEquals(w.closeHandle(handle), true);
    assertEquals(w.closeHandle(handle), false, "it was open until now");
  }
});

await fixtureTest("impersonation and its end", (w) => {
  const { server } = w.pair((socket) => assertEquals(set(w, socket, settings(0, 0)), 0));
  assertEquals(w.error(w.fwp.call.WSARevertImpersonation()), 0, "no action where nothing is impersonated");
  assertEquals(w.error(w.fwp.call.WSAImpersonateSocketPeer(server, null, 0)), 0);
  assertEquals(w.error(w.fwp.call.WSARevertImpersonation()), 0);
  assertEquals(readLog().at(-1)!.Impersonating, "1");
  const datagram = w.blockingSocket(2, DGRAM);
  assertEquals(w.error(w.fwp.call.WSAImpersonateSocketPeer(datagram, null, 0)), WSAEFAULT);
  assertEquals(w.error(w.fwp.call.WSAImpersonateSocketPeer(datagram, PEER, 3)), WSAEMSGSIZE);
  const peer6 = new Uint8Array(28);
  peer6[0] = AF_INET6;
  assertEquals(w.error(w.fwp.call.WSAImpersonateSocketPeer(datagram, peer6, 27)), WSAEMSGSIZE);
  assertEquals(
    w.error(w.fwp.call.WSAImpersonateSocketPeer(datagram, new Uint8Array(16), 16)),
    WSAEAFNOSUPPORT,
  );
  assertEquals(w.error(w.fwp.call.WSAImpersonateSocketPeer(GARBAGE, null, 0)), WSAENOTSOCK);
  w.control("next_error", WSASYSCALLFAILURE);
  assertEquals(w.error(w.fwp.call.WSARevertImpersonation()), WSASYSCALLFAILURE);
  assertEquals(w.error(w.fwp.call.WSARevertImpersonation()), 0);
});

declareTests();
