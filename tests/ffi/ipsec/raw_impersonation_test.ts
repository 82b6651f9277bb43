/**
 * WSAImpersonateSocketPeer and WSARevertImpersonation, which the library does not call itself: the raw functions, on
 * simulated blocking sockets, as the documentation of the first requires.
 */

import { assertEquals } from "@std/assert";
import { test } from "@test";
import { BLOCK } from "../../../ffi/winsock/completion_port.ts";
import { UdpSocket } from "../../../ffi/winsock/udp.ts";
import { ipsecPolicy } from "../../../ffi/ipsec/policies.ts";
import type { IpsecPolicyOptions } from "../../../ffi/ipsec/policy_options.ts";
import { openLibrary } from "../../../ffi/mod.ts";
import { ADVAPI32, TOKEN } from "../../../ffi/raw/advapi32.ts";
import { FWPUCLNT, SOCKET_SECURITY_QUERY_INFO } from "../../../ffi/raw/fwpuclnt.ts";
import { KERNEL32 } from "../../../ffi/raw/kernel32.ts";
import { AF, IPPROTO, SO, SOCK, SOL_SOCKET, WS2_32 } from "../../../ffi/raw/ws2_32.ts";
import { type HostOptions, simulate } from "../../../testing/simulator/simulate.ts";
import { TcpSocket } from "../../../ffi/winsock/tcp.ts";
import type { NativeSystem } from "../../../ffi/system.ts";
import { readAnswer } from "../../../ffi/ipsec/query.ts";
import { PeerToken } from "../../../ffi/windows/token.ts";
import { ipsecSettings, queryTemplate } from "../../support/ipsec_bytes.ts";
import { type Side, withHosts } from "../../support/secure_hosts.ts";

type Policy = Omit<IpsecPolicyOptions, "system">;

const KERBEROS: Policy = { mainMode: { authentication: ["kerberos"] } };
const ACTING: Policy = { ...KERBEROS, extendedMode: { authentication: ["kerberos"], impersonation: true } };
const HOSTS: { readonly [name: string]: HostOptions } = {
  client: { administrator: true, account: { domain: "SIM", name: "alice", sid: "S-1-5-21-1-2-3-1104" } },
  server: { administrator: true },
};
const NOT_OVERLAPPED = 0;
const PORT = 700;

/** The raw functions of a system. */
function rawOf(system: NativeSystem) {
  const ipsec = openLibrary(system, "ipsec", FWPUCLNT).call;
  const ws = openLibrary(system, "ipsec", WS2_32).call;
  const advapi = openLibrary(system, "impersonation", ADVAPI32).call;
  const kernel = openLibrary(system, "ipsec", KERNEL32).call;
  return {
    ws,
    advapi,
    /** Impersonates; returns the last error. */
    impersonate(socket: bigint, peer: Uint8Array | null = null): number {
      const failed = ipsec.WSAImpersonateSocketPeer(socket, peer, peer?.length ?? 0);
      return failed === 0 ? 0 : ws.WSAGetLastError();
    },
    revert: () => ipsec.WSARevertImpersonation(),
    /** The user of the thread's token; `null`: no token. */
    who(): string | null {
      const out = new Uint8Array(8);
      if (advapi.OpenThreadToken(TOKEN.CURRENT_THREAD, TOKEN.QUERY, 1, out) === 0) {
        assertEquals(kernel.GetLastError(), TOKEN.ERROR_NO_TOKEN);
        return null;
      }
      using token = new PeerToken(system, new DataView(out.buffer).getBigUint64(0, true));
      return `${token.account.domain}\\${token.account.name}`;
    },
  };
}

/** Two hosts, each with a policy and settings with the policy's key. */
async function withPolicies(
  policy: Policy | null,
  fn: (client: Side, server: Side, settings: Uint8Array[]) => Promise<void>,
): Promise<void> {
  await withHosts(simulate({ hosts: HOSTS }), async (client, server) => {
    const policies = [client, server].map(({ system }) => policy && ipsecPolicy({ system, ...policy }));
    const settings = policies.map((each) =>
      ipsecSettings({ mainMode: each?.mainModePolicy, quickMode: each?.quickModePolicy })
    );
    try {
      await fn(client, server, settings);
    } finally {
      for (const each of policies) each?.close();
    }
  });
}

/** Connects, and accepts into a blocking socket; calls `fn` with it and with an overlapped one. */
async function withAccepted(
  policy: Policy | null,
  fn: (server: Side, accepted: bigint, overlapped: bigint) => void,
): Promise<void> {
  await withPolicies(policy, async (client, server, settings) => {
    const { winsock } = server;
    const { ws } = rawOf(server.system);
    const [any] = await winsock.resolve("0.0.0.0", PORT, "stream", "listen");
    const listener = new TcpSocket(winsock, 4);
    server.secure.setSecurity(listener, settings[1]);
    listener.bind(any.bytes);
    listener.listen(5);
    const accepted = ws.WSASocketW(AF.INET, SOCK.STREAM, IPPROTO.TCP, 0n, 0, NOT_OVERLAPPED);
    const room = new Uint8Array(new ArrayBuffer(288));
    const accepting = winsock.port.run({
      keep: { bytes: room },
      direct: false,
      begin({ address }) {
        const handle = listener.handleFor("accept");
        const [at, bytes] = [winsock.memory.addressOf(room), address + BigInt(BLOCK.bytes)];
        const ok = winsock.extensions.AcceptEx(handle, accepted, at, 0, 144, 144, bytes, address);
        return ok !== 0 ? 0 : ws.WSAGetLastError();
      },
      refused: (code) => new Error(`AcceptEx: ${code}`),
      read: ({ code }) => code,
    });
    const socket = new TcpSocket(client.winsock, 4);
    client.secure.setSecurity(socket, settings[0]);
    const [to] = await client.winsock.resolve("server", PORT, "stream");
    await socket.connect(to);
    assertEquals(await accepting, 0);
    const context = new Uint8Array(BigUint64Array.of(listener.handleFor("accept")).buffer);
    assertEquals(ws.setsockopt(accepted, SOL_SOCKET, SO.UPDATE_ACCEPT_CONTEXT, context, 8), 0);
    try {
      fn(server, accepted, listener.handleFor("try it"));
    } finally {
      ws.closesocket(accepted);
      await socket.close();
      await listener.close();
    }
  });
}

test("WSAImpersonateSocketPeer makes the thread act as the peer's user, until it reverts", () =>
  withAccepted(ACTING, (server, accepted) => {
    const { impersonate, revert, who } = rawOf(server.system);
    assertEquals(who(), null);
    assertEquals([impersonate(accepted), who()], [0, "SIM\\alice"]);
    assertEquals([impersonate(accepted), who()], [0, "SIM\\alice"], "as often as one likes");
    assertEquals([revert(), who()], [0, null]);
    assertEquals([revert(), who()], [0, null], "no action where nothing is impersonated");
  }));

test("WSAImpersonateSocketPeer makes the thread act as the peer's computer where the peer gave no user", () =>
  withAccepted(KERBEROS, (server, accepted) => {
    const { impersonate, revert, who } = rawOf(server.system);
    assertEquals([impersonate(accepted), who()], [0, "SIM\\CLIENT$"]);
    assertEquals([revert(), who()], [0, null]);
  }));

const WSAEINVAL = 10022;

test("WSAImpersonateSocketPeer fails where the peer gave no identity, or the socket is overlapped", async () => {
  await withAccepted(null, (server, accepted) => {
    const { impersonate, who } = rawOf(server.system);
    assertEquals([impersonate(accepted), who()], [WSAEINVAL, null]);
  });
  await withAccepted(ACTING, (server, _accepted, overlapped) => {
    const { impersonate, who } = rawOf(server.system);
    assertEquals([impersonate(overlapped), who()], [WSAEINVAL, null]);
  });
});

test("WSAImpersonateSocketPeer finds a datagram's peer by its address", () =>
  withPolicies(ACTING, async (client, server, settings) => {
    const { ws, impersonate, revert, who } = rawOf(server.system);
    const release = server.winsock.use();
    const socket = ws.WSASocketW(AF.INET, SOCK.DGRAM, IPPROTO.UDP, 0n, 0, NOT_OVERLAPPED);
    const { call } = openLibrary(server.system, "ipsec", FWPUCLNT);
    assertEquals(call.WSASetSocketSecurity(socket, settings[1], settings[1].length, 0n, 0n), 0);
    const [any] = await server.winsock.resolve("0.0.0.0", PORT, "datagram", "listen");
    assertEquals(ws.bind(socket, any.bytes, any.bytes.length), 0);
    const sender = new UdpSocket(client.winsock, 4);
    client.secure.setSecurity(sender, settings[0]);
    const [to] = await client.winsock.resolve("server", PORT, "datagram");
    await sender.sendTo(Uint8Array.of(1), to);
    const [from] = await client.winsock.resolve("client", sender.localAddress.port, "datagram");
    assertEquals([impersonate(socket, from.bytes), who()], [0, "SIM\\alice"]);
    assertEquals([revert(), who()], [0, null]);
    const [stranger] = await client.winsock.resolve("192.0.2.1", PORT, "datagram");
    assertEquals([impersonate(socket, stranger.bytes), who()], [WSAEINVAL, null]);
    ws.closesocket(socket);
    await sender.close();
    release();
  }));

test("WSARevertImpersonation does not end an impersonation of another function", () =>
  withAccepted(ACTING, (server, accepted) => {
    const { ws, advapi, revert, who } = rawOf(server.system);
    const { call } = openLibrary(server.system, "ipsec", FWPUCLNT);
    const template = queryTemplate(new Uint8Array(), TOKEN.QUERY | TOKEN.IMPERSONATE, 1);
    const answer = new Uint8Array(SOCKET_SECURITY_QUERY_INFO.size);
    const size = new Uint8Array(Uint32Array.of(answer.length).buffer);
    assertEquals(
      call.WSAQuerySocketSecurity(accepted, template, template.length, answer, size, 0n, 0n),
      0,
      String(ws.WSAGetLastError()),
    );
    const { userToken, machineToken } = readAnswer(answer);
    assertEquals([advapi.ImpersonateLoggedOnUser(userToken), who()], [1, "SIM\\alice"]);
    assertEquals([revert(), who()], [0, "SIM\\alice"]);
    assertEquals([advapi.RevertToSelf(), who()], [1, null]);
    server.secure.closeTokens(userToken, machineToken);
  }));
