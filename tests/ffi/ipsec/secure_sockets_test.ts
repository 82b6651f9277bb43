/** The secure socket functions on simulated hosts. */

import { assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import { PermissionError, TransportError } from "../../../errors.ts";
import { UdpSocket } from "../../../ffi/winsock/udp.ts";
import {
  SOCKET_INFO_CONNECTION,
  SOCKET_SECURITY_PROTOCOL,
  SOCKET_SETTINGS,
} from "../../../ffi/raw/fwpuclnt.ts";
import { SecureSockets } from "../../../ffi/ipsec/secure_sockets.ts";
import { simulate } from "../../../testing/simulator/simulate.ts";
import { TcpSocket } from "../../../ffi/winsock/tcp.ts";
import type { NativeSystem } from "../../../ffi/system.ts";
import {
  answerFlags,
  ipsecSettings,
  plainSettings,
  queryTemplate,
  targetName,
} from "../../support/ipsec_bytes.ts";
import { withHosts } from "../../support/secure_hosts.ts";
import { listening } from "../../support/socket_suite.ts";

const { SECURED, ENCRYPTED } = SOCKET_INFO_CONNECTION;
const { DEFAULT } = SOCKET_SECURITY_PROTOCOL;
const on = plainSettings(0);
const encrypted = plainSettings(SOCKET_SETTINGS.GUARANTEE_ENCRYPTION);
const both = SECURED | ENCRYPTED;

test("setSecurity() refuses settings where the documentation refuses them", () =>
  withHosts(simulate(), async ({ winsock, secure }) => {
    const cases: readonly (readonly [string, Uint8Array, string])[] = [
      ["too short", new Uint8Array(4), "WSAEMSGSIZE"],
      ["an unknown flag", plainSettings(0x80), "WSAEINVAL"],
      ["an unknown protocol", plainSettings(0, SOCKET_SECURITY_PROTOCOL.INVALID), "WSAEINVAL"],
      ["an unknown IPsec flag", ipsecSettings({ ipsecFlags: 0x100 }), "WSAEINVAL"],
      ["a policy nobody added", ipsecSettings({ mainMode: crypto.randomUUID() }), "WSAEINVAL"],
      [
        "strings beyond the end",
        ipsecSettings({ strings: ["user", "domain", "password"] }).slice(0, 90),
        "WSAEMSGSIZE",
      ],
    ];
    for (const [name, settings, code] of cases) {
      const socket = new TcpSocket(winsock, 4);
      const error = assertThrows(() => secure.setSecurity(socket, settings), TransportError);
      assertEquals(error.codeName, code, name);
      await socket.close();
    }
    const socket = new TcpSocket(winsock, 4);
    secure.setSecurity(socket, ipsecSettings({ strings: ["user", "domain", "password"] }));
    assertThrows(() => secure.setSecurity(socket, on), TransportError, "the socket has no other settings");
    await socket.close();
    const bound = await listening(winsock, "client");
    assertThrows(() => secure.setSecurity(bound, on), TransportError, "is not bound yet");
    await bound.close();
  }));

test("setPeerTarget() and query() address the peer of a datagram socket", () =>
  withHosts(simulate(), async (client, server) => {
    const [any] = await server.winsock.resolve("server", 0, "datagram", "listen");
    const there = new UdpSocket(server.winsock, any.version);
    server.secure.setSecurity(there, on);
    there.bind(any.bytes);
    const here = new UdpSocket(client.winsock, any.version);
    client.secure.setSecurity(here, encrypted);
    const peer = there.localAddress;
    client.secure.setPeerTarget(here, targetName(peer.bytes, "host/server", DEFAULT));
    assertThrows(() => client.secure.query(here, null), TransportError, "WSAEMSGSIZE");
    await here.sendTo(Uint8Array.of(7), peer);
    const template = queryTemplate(peer.bytes, 0, DEFAULT);
    assertEquals(answerFlags(client.secure.query(here, template)), both);
    const { from } = await there.receiveFrom();
    assertEquals(answerFlags(server.secure.query(there, queryTemplate(from.bytes, 0, DEFAULT))), both);
    client.secure.deletePeerTarget(here, peer);
    await here.close();
    await there.close();
  }));

test("SecureSockets needs the grant ipsec, which the PermissionError names", () => {
  using system = simulate().host("plain", ["sockets"]) as NativeSystem;
  assertThrows(() => new SecureSockets(system), PermissionError, '"ipsec"');
});
