/**
 * connect() and listen() with ipsec(), over real overlapped sockets and through a real fwpuclnt.dll: the test double
 * of `tests/windows/fixtures` under Wine (whose own functions end the process). It checks its arguments as the
 * documentation states and secures nothing. On a real Windows this needs IPsec between two computers.
 */

import { assertEquals, assertRejects } from "@std/assert";
import { test } from "@test";
import { SecurityRequirementError, TransportError } from "../../errors.ts";
import { currentPlace } from "../../ffi/platform.ts";
import { SecureSockets } from "../../ffi/secure_sockets.ts";
import { TcpSocket } from "../../ffi/socket.ts";
import { NativeSystem, openSystem } from "../../ffi/system.ts";
import { winsockOf } from "../../ffi/winsock.ts";
import { ipsec } from "../../plugins/ipsec/mod.ts";
import type { Requirements } from "../../plugins/provider.ts";
import { createRegistry } from "../../plugins/registry.ts";
import { connect } from "../../sockets/connect.ts";
import { listen } from "../../sockets/listen.ts";
import { plainSettings } from "../support/ipsec_bytes.ts";
import { settled } from "../support/socket_suite.ts";

const skip = currentPlace("").os === "windows" ? null : "it needs Windows: deno task test:windows";
const WITHOUT_MUTUAL = { mutualAuthentication: false } as const;

async function attempt(requirements: Requirements) {
  using system = openSystem({ grants: ["ipsec"] });
  const registry = createRegistry([ipsec()]);
  const failures: unknown[] = [];
  await using listener = await listen({
    hostname: "127.0.0.1",
    port: 0,
    registry,
    requirements,
    system,
    onHandshakeError: (error) => void failures.push(error),
  });
  const serving = listener.accept().then((conn) => conn.readable.pipeTo(conn.writable)).catch(() => {});
  await using conn = await connect({
    hostname: "localhost",
    port: listener.addr.port,
    credentials: { username: "alice", domain: "EXAMPLE", password: "a password" },
    registry,
    requirements,
    system,
  });
  await conn.write(new TextEncoder().encode("hello"));
  const p = new Uint8Array(64);
  const read = await conn.read(p);
  await conn.closeWrite();
  assertEquals(await conn.read(p), null);
  await serving;
  return { text: new TextDecoder().decode(p.subarray(0, read!)), security: await conn.querySecurity() };
}

test("ipsec() echoes over real sockets, and says what the system said of them", async () => {
  const { text, security } = await attempt(WITHOUT_MUTUAL);
  assertEquals(text, "hello");
  assertEquals([security.secured, security.encrypted, security.simulated], [true, true, false]);
  assertEquals(await settled(), {});
}, { skip });

test("ipsec() refuses what the system does not tell, and leaves nothing behind", async () => {
  await assertRejects(() => attempt({}), SecurityRequirementError, "mutualAuthentication");
  assertEquals(await settled(), {});
}, { skip });

test("a call that the real library refuses is named with its code", async () => {
  const system = new NativeSystem({ grants: ["ipsec"] });
  const socket = new TcpSocket(winsockOf(system, "ipsec"), 4);
  const secure = new SecureSockets(system);
  secure.setSecurity(socket, plainSettings(0));
  await assertRejects(
    async () => await secure.setSecurity(socket, plainSettings(0)),
    TransportError,
    "WSAEINVAL",
  );
  await socket.close();
  system.close();
  assertEquals(await settled(), {});
}, { skip });
