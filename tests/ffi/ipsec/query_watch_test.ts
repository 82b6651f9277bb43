/** Queries that watch a connection on a simulated system, with arguments that the library never uses. */

import { assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import { TransportError } from "../../../errors.ts";
import { UdpSocket } from "../../../ffi/winsock/udp.ts";
import { SOCKET_SECURITY_QUERY_TEMPLATE_IPSEC2 } from "../../../ffi/raw/fwpuclnt.ts";
import { SecureSockets } from "../../../ffi/ipsec/secure_sockets.ts";
import { simulate } from "../../../testing/simulator/simulate.ts";
import { readAnswer } from "../../../ffi/ipsec/query.ts";
import type { NativeSystem } from "../../../ffi/system.ts";
import { winsockOf } from "../../../ffi/winsock/winsock.ts";
import { connected, settled } from "../../support/socket_suite.ts";

function template(Flags: number, FieldMask: number): Uint8Array {
  const bytes = new Uint8Array(SOCKET_SECURITY_QUERY_TEMPLATE_IPSEC2.size);
  SOCKET_SECURITY_QUERY_TEMPLATE_IPSEC2.write(new DataView(bytes.buffer), {
    SecurityProtocol: 2,
    Flags,
    FieldMask,
  });
  return bytes;
}

test("WSAQuerySocketSecurity refuses unknown flags and fields of a template, and does not watch datagrams", async () => {
  {
    using system = simulate().host("client") as NativeSystem;
    const [winsock, secure] = [winsockOf(system, "ipsec"), new SecureSockets(system)];
    const [client, server] = await connected(winsock, "client");
    for (const [flags, fields] of [[2, 1], [1, 4], [1, 0], [0, 4]]) {
      const error = assertThrows(() => secure.query(client, template(flags, fields)), TransportError);
      assertEquals(error.codeName, "WSAEINVAL", `${flags} ${fields}`);
    }
    // Nothing is protected here, so there is nothing to watch, as the answer states.
    assertEquals(readAnswer(secure.query(client, template(1, 3))).quickModeSa, 0n);
    const datagrams = new UdpSocket(winsock, 4);
    assertThrows(() => secure.query(datagrams, template(1, 3)), TransportError, "WSAEINVAL");
    await Promise.all([client.close(), server.close(), datagrams.close()]);
  }
  assertEquals(await settled(), {});
});
