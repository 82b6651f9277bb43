/**
 * connect() and listen() with ipsec(), over real overlapped sockets and through a real fwpuclnt.dll: the test double
 * of `tests/windows/fixtures` under Wine (whose own functions end the process). It checks its arguments as the
 * documentation states and secures nothing. On a real Windows this needs IPsec between two computers.
 */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { test } from "@test";
import { SecurityRequirementError, StateError, TransportError } from "../../errors.ts";
import type { LibrarySpec } from "../../ffi/abi.ts";
import { denoBackend } from "../../ffi/backends/deno.ts";
import { koffiBackend } from "../../ffi/backends/koffi.ts";
import { ipsecPolicy } from "../../ffi/ipsec/policies.ts";
import { cString, pinned } from "../../ffi/memory/memory.ts";
import { currentPlatform, currentRuntime } from "../../ffi/permissions.ts";
import { ADVAPI32, SecurityIdentification, TOKEN, TokenPrimary } from "../../ffi/raw/advapi32.ts";
import { KERNEL32 } from "../../ffi/raw/kernel32.ts";
import { SecureSockets } from "../../ffi/ipsec/secure_sockets.ts";
import { TcpSocket } from "../../ffi/winsock/tcp.ts";
import { NativeSystem, nativeSystem, openSystem, type System } from "../../ffi/system.ts";
import { PeerToken } from "../../ffi/windows/token.ts";
import { winsockOf } from "../../ffi/winsock/winsock.ts";
import { ipsec, type IpsecOptions } from "../../plugins/ipsec/mod.ts";
import type { Requirements } from "../../contract.ts";
import { createRegistry } from "../../plugins/registry.ts";
import { connect } from "../../sockets/connect.ts";
import { listen } from "../../sockets/listen.ts";
import { openDatagrams } from "../../sockets/ipsec/open_datagrams.ts";
import type { SecureConn } from "../../sockets/secure_conn.ts";
import { plainSettings } from "../support/ipsec_bytes.ts";
import { settled } from "../support/socket_suite.ts";

const skip = currentPlatform("").os === "windows" ? null : "it needs Windows: deno task test:windows";
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

test("ipsec() echoes over real sockets, and reports the system's answer", async () => {
  const { text, security } = await attempt(WITHOUT_MUTUAL);
  assertEquals(text, "hello");
  assertEquals([security.integrity, security.confidentiality, security.simulated], [true, true, false]);
  assertEquals(await settled(), {});
}, { skip });

test(
  "ipsec() refuses a connection that the system does not report as secured, and leaves nothing open",
  async () => {
    await assertRejects(() => attempt({}), SecurityRequirementError, "mutualAuthentication");
    assertEquals(await settled(), {});
  },
  { skip },
);

/** Sets one option of the test double. */
const FIXTURE = {
  name: "fwpuclnt.dll",
  instead: "run deno task test:windows",
  files: { windows: ["fwpuclnt.dll"] },
  fns: { FixtureControl: { params: [["option", "buf"], ["value", "u64"]], result: "i32" } },
} as const satisfies LibrarySpec;

function fixture(option: string, value: bigint): void {
  const backend = currentRuntime() === "deno" ? denoBackend() : koffiBackend();
  const library = backend.open("C:\\Windows\\System32\\fwpuclnt.dll", FIXTURE);
  assertEquals(library.call.FixtureControl(cString(option), value), 0);
  library.close();
}

test("ipsecPolicy() adds the policy that a C program reads, and it is used until it is closed", async () => {
  using system = openSystem({ grants: ["ipsec", "ipsec.policy"] });
  const policy = ipsecPolicy({
    system,
    mainMode: { authentication: ["kerberos", "anonymous"] },
    quickMode: { ciphers: ["aes-256-gcm"], lifetimeSeconds: 900 },
    extendedMode: { authentication: ["kerberos"], impersonation: true },
  });
  const { mainModePolicy, quickModePolicy } = policy;
  const options = {
    registry: createRegistry([ipsec({ mainModePolicy, quickModePolicy })]),
    requirements: WITHOUT_MUTUAL,
    system,
    hostname: "127.0.0.1",
  };
  const listener = await listen({ ...options, port: 0 });
  await listener.close();
  policy.close();
  await assertRejects(() => listen({ ...options, port: 0 }), TransportError, "provider contexts");
  assertEquals(await settled({ library: 7 }), { library: 7 });
}, { skip });

test(
  "the peer's token is a real access token: it has an account, and a server can impersonate it",
  async () => {
    {
      using system = openSystem({ grants: ["ipsec", "impersonation"] });
      const options = { registry: createRegistry([ipsec()]), requirements: WITHOUT_MUTUAL, system };
      await using listener = await listen({ ...options, hostname: "127.0.0.1", port: 0 });
      // Once the library is open: the option goes with it.
      fixture("user_token", 1n);
      const accepting = listener.accept();
      await using client = await connect({
        ...options,
        requirements: { ...WITHOUT_MUTUAL, impersonation: "impersonate" },
        hostname: "localhost",
        port: listener.addr.port,
      });
      await using server = await accepting;
      const { tokens } = await server.querySecurity({ tokens: true });
      const { account, groups } = tokens!.user!;
      assertEquals(/^S-1-5-/.test(account.sid), true);
      assertEquals(account.name.length > 0, true);
      assertEquals(tokens!.user!.isMember(groups[0].sid), true);
      assertEquals(server.impersonate(() => "as the client"), "as the client");
      server.impersonate(() => {
        assertThrows(() => server.impersonate(() => 1), StateError, "already impersonating");
        assertEquals(threadToken(system) !== null, true, "the thread is the client still");
      });
      assertEquals(threadToken(system), null);
      using primary = new PeerToken(nativeSystem(system), server.impersonate(() => primaryOfThread(system)));
      assertEquals(primary.account, account);
      assertEquals(primary.isMember(groups[0].sid), true, "a primary token is checked through a duplicate");
      assertEquals(client.security.simulated, false);
    }
    assertEquals(await settled(), {});
  },
  { skip },
);

/** The token this thread carries, closed already: only whether there is one counts. */
function threadToken(system: System): bigint | null {
  const token = openThreadToken(system);
  if (token !== null) nativeSystem(system).library("impersonation", KERNEL32).call.CloseHandle(token);
  return token;
}

function openThreadToken(system: System): bigint | null {
  const { call } = nativeSystem(system).library("impersonation", ADVAPI32);
  const out = pinned(8);
  const access = TOKEN.QUERY | TOKEN.DUPLICATE;
  return call.OpenThreadToken(TOKEN.CURRENT_THREAD, access, 1, out) === 0
    ? null
    : new DataView(out.buffer).getBigUint64(0, true);
}

/** A primary token of whoever this thread acts as. */
function primaryOfThread(system: System): bigint {
  const token = openThreadToken(system)!;
  const { call } = nativeSystem(system).library("impersonation", ADVAPI32);
  const out = pinned(8);
  const access = TOKEN.QUERY | TOKEN.DUPLICATE;
  assertEquals(call.DuplicateTokenEx(token, access, 0n, SecurityIdentification, TokenPrimary, out), 1);
  nativeSystem(system).library("impersonation", KERNEL32).call.CloseHandle(token);
  return new DataView(out.buffer).getBigUint64(0, true);
}

/** Connects two ends, once `prepare` has told the test double how to answer. */
async function withEnds(
  options: IpsecOptions,
  prepare: () => void,
  fn: (client: SecureConn, server: SecureConn) => Promise<void>,
): Promise<void> {
  {
    using system = openSystem({ grants: ["ipsec"] });
    const terms = { registry: createRegistry([ipsec(options)]), requirements: WITHOUT_MUTUAL, system };
    await using listener = await listen({ ...terms, hostname: "127.0.0.1", port: 0 });
    prepare();
    const accepting = listener.accept();
    await using client = await connect({ ...terms, hostname: "localhost", port: listener.addr.port });
    await using server = await accepting;
    await fn(client, server);
  }
  assertEquals(await settled(), {});
}

test(
  "associations are reported as a C program has laid them out, and the connection's is found on the second page",
  () =>
    withEnds({}, () => fixture("associations", 70n), async (client, server) => {
      for (const { security } of [client, server]) {
        assertEquals([security.mutualAuthentication, security.peer], [true, "host/fixture.example.test"]);
        assertEquals(security.details.association, {
          authentication: ["kerberos"],
          mainModeCipher: "aes-256",
          mainModeIntegrity: "sha-384",
          lifetimeSeconds: 28800,
          quickMode: {
            mode: "tunnel",
            lifetimeSeconds: 1234,
            lifetimeKilobytes: 5678,
            lifetimePackets: 91011,
            transforms: [
              {
                type: "esp-auth-and-cipher",
                cipher: "aes-256-gcm",
                cipherKeyBits: 256,
                integrity: "aes-256-gcm",
                integrityKeyBits: 256,
              },
              { type: "ah", integrity: "hmac-sha-256-128" },
            ],
            matchedBy: "saLookupContext+qmSaId",
          },
        });
      }
      fixture("wfp_error", 5n);
      const { details } = await client.querySecurity();
      assertEquals(
        details.association,
        "needs membership in Administrators or Network Configuration Operators",
      );
    }),
  { skip },
);

test(
  "abortOnAssociationChange ends a connection whose association changes",
  () =>
    withEnds({ abortOnAssociationChange: ["quickModeSa"] }, () => {}, async (client) => {
      await client.querySecurity();
      fixture("qm_sa_id", 0x3333n);
      const error = await assertRejects(() => client.querySecurity(), SecurityRequirementError);
      assertEquals(error.got, `quickModeSa has changed from ${0x2222} to ${0x3333}`);
      fixture("qm_sa_id", 0x2222n);
    }),
  { skip },
);

test("openDatagrams sends over real sockets, and each peer is named and queried by its address", async () => {
  {
    using system = openSystem({ grants: ["ipsec"] });
    const options = { registry: createRegistry([ipsec()]), requirements: WITHOUT_MUTUAL, system };
    await using here = await openDatagrams({ ...options, hostname: "127.0.0.1" });
    await using there = await openDatagrams({ ...options, hostname: "127.0.0.1" });
    const peer = { hostname: "127.0.0.1", port: there.addr.port, computer: "host/server.example.test" };
    assertEquals((await here.send(new TextEncoder().encode("ping"), peer)).confidentiality, true);
    const p = new Uint8Array(64);
    const { length, from } = await there.receive(p);
    assertEquals([new TextDecoder().decode(p.subarray(0, length)), from.port], ["ping", here.addr.port]);
    await here.deletePeerTarget(peer);
  }
  assertEquals(await settled(), {});
}, { skip });

test("an error names the call that the real library refused, with its code", async () => {
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
