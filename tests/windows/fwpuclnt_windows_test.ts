/**
 * Windows' own fwpuclnt.dll, on sockets that are not connected: the documented codes, and the questions the
 * documentation leaves open, whose answers are printed as findings and never make a test fail.
 */

import { assert, assertEquals } from "@std/assert";
import { declareTests, onWindows, windowsTest } from "./support/on_windows.ts";
import { machine } from "./support/machine.ts";
import { stubAnswer } from "./support/stubs.ts";
import { address, DGRAM, settings, targetName, template, Winsock } from "./support/winsock.ts";

/** The functions and how many arguments each takes. */
const FUNCTIONS = {
  WSASetSocketSecurity: 5,
  WSAQuerySocketSecurity: 7,
  WSASetSocketPeerTargetName: 5,
  WSADeleteSocketPeerTargetName: 5,
  WSAImpersonateSocketPeer: 3,
  WSARevertImpersonation: 0,
} as const;

const WSAEFAULT = 10014;
const WSAENOTSOCK = 10038;
const SOL_SOCKET = 0xffff;
/** `~SO_REUSEADDR` */
const SO_EXCLUSIVEADDRUSE = -5;
const WSAEMSGSIZE = 10040;
const NOBODY = new Uint8Array(16);
const GARBAGE = 0x7fff_fff0n;

async function realTest(
  name: string,
  needs: readonly (keyof typeof FUNCTIONS)[],
  body: (w: Winsock) => void,
): Promise<void> {
  const answers = onWindows ? needs.map((each) => stubAnswer("fwpuclnt.dll", each, FUNCTIONS[each])) : [];
  await windowsTest(name, () => {
    using w = new Winsock();
    body(w);
  }, { skip: answers.find((answer) => answer !== null) ?? null });
}

/** Under Wine these tests run against the fixture, to prove that they run at all: what it answers is no finding. */
function finding(question: string, answer: unknown): void {
  console.log(
    `${machine.wine === null ? "FINDING" : "of the fixture, not of Windows:"} ${question}: ${answer}`,
  );
}

const set = (w: Winsock, socket: bigint, bytes: Uint8Array | null, length = bytes?.length ?? 0) =>
  w.error(w.fwp.call.WSASetSocketSecurity(socket, bytes, length, null, 0n));
const name = (w: Winsock, socket: bigint, bytes: Uint8Array | null, length = bytes?.length ?? 0) =>
  w.error(w.fwp.call.WSASetSocketPeerTargetName(socket, bytes, length, null, 0n));
const query = (w: Winsock, socket: bigint, ask: Uint8Array | null, info: Uint8Array | null) => {
  const length = new Uint8Array(Uint32Array.of(info?.length ?? 0).buffer);
  const code = w.error(
    w.fwp.call.WSAQuerySocketSecurity(socket, ask, ask?.length ?? 0, info, length, null, 0n),
  );
  return { code, length: new DataView(length.buffer).getUint32(0, true) };
};

await realTest("security can be set on a new socket", ["WSASetSocketSecurity"], (w) => {
  assertEquals(set(w, w.socket(), null), 0);
  assertEquals(set(w, w.socket(), settings(0, 1)), 0);
  assertEquals(set(w, w.socket(2, DGRAM), settings(0, 0)), 0);
  assertEquals(set(w, GARBAGE, null), WSAENOTSOCK);
  assertEquals(set(w, w.socket(), settings(0, 0), 4), WSAEMSGSIZE);
});

await realTest("a secured socket has its address for itself", ["WSASetSocketSecurity"], (w) => {
  const socket = w.socket();
  assertEquals(set(w, socket, null), 0);
  const [exclusive, length] = [new Uint8Array(4), new Uint8Array(Int32Array.of(4).buffer)];
  const error = w.ws.call.getsockopt(socket, SOL_SOCKET, SO_EXCLUSIVEADDRUSE, exclusive, length);
  assertEquals([w.error(error), exclusive[0]], [0, 1]);
});

await realTest("no peer is impersonated where there is none", ["WSAImpersonateSocketPeer"], (w) => {
  const impersonate = (socket: bigint, peer: Uint8Array | null) =>
    w.error(w.fwp.call.WSAImpersonateSocketPeer(socket, peer, peer?.length ?? 0));
  assertEquals(impersonate(GARBAGE, null), WSAENOTSOCK);
  // The page says that it is for sockets that are not overlapped, and not what becomes of others.
  const datagram = w.blockingSocket(2, DGRAM);
  assertEquals(impersonate(datagram, null), WSAEFAULT);
  finding("impersonating over a socket that is not connected", impersonate(w.blockingSocket(), null));
  finding("impersonating over an overlapped one", impersonate(w.socket(), null));
  w.fwp.call.WSARevertImpersonation();
});

await realTest("security cannot be set a second time, nor after bind", ["WSASetSocketSecurity"], (w) => {
  const twice = w.socket();
  assertEquals(set(w, twice, null), 0);
  const second = set(w, twice, null);
  const bound = w.socket();
  w.bind(bound);
  const behindBind = set(w, bound, null);
  finding("the code of a second WSASetSocketSecurity", second);
  finding("the code of WSASetSocketSecurity behind bind", behindBind);
  assert(second !== 0);
});

await realTest("a target name can be set on a secured socket", [
  "WSASetSocketSecurity",
  "WSASetSocketPeerTargetName",
], (w) => {
  const socket = w.socket();
  assertEquals(set(w, socket, null), 0);
  assertEquals(name(w, socket, targetName(0, NOBODY, "host/server.example.test")), 0);
  assertEquals(name(w, socket, null), WSAEFAULT);
  const units = targetName(0, NOBODY, "host/server.example.test");
  new DataView(units.buffer).setUint32(136, "host/server.example.test".length, true);
  finding("PeerTargetNameStringLen in UTF-16 units, as the sample has it", name(w, socket, units));
});

await realTest("a target name can be deleted again", [
  "WSASetSocketSecurity",
  "WSADeleteSocketPeerTargetName",
], (w) => {
  const socket = w.socket(2, DGRAM);
  const peer = address("127.0.0.1", 4242);
  assertEquals(set(w, socket, null), 0);
  const remove = (bytes: Uint8Array | null, length = bytes?.length ?? 0) =>
    w.error(w.fwp.call.WSADeleteSocketPeerTargetName(socket, bytes, length, null, 0n));
  assertEquals(remove(null), WSAEFAULT);
  finding("the code of deleting a target name that was never set", remove(peer));
});

await realTest("a query with too small a buffer reports the size that it needs", [
  "WSASetSocketSecurity",
  "WSAQuerySocketSecurity",
], (w) => {
  const socket = w.socket();
  assertEquals(set(w, socket, null), 0);
  const probe = query(w, socket, null, null);
  finding("the code of a query without room (WSAEFAULT 10014 or WSAEMSGSIZE 10040)", probe.code);
  finding("the size of SOCKET_SECURITY_QUERY_INFO", probe.length);
  const extended = query(w, socket, template(2, NOBODY, 0, { flags: 0, fieldMask: 0 }), null);
  finding("the same with an IPSEC2 template", `${extended.code}, ${extended.length} bytes`);
  finding("a query on a socket that is not connected", query(w, socket, null, new Uint8Array(24)).code);
  assert(probe.code !== 0);
});

await realTest("the other settings on which the sources disagree", ["WSASetSocketSecurity"], (w) => {
  const ipsec = (protocol: number) => {
    const bytes = new Uint8Array(88);
    new DataView(bytes.buffer).setUint32(0, protocol, true);
    return bytes;
  };
  finding("SOCKET_SECURITY_SETTINGS_IPSEC with protocol IPSEC (1)", set(w, w.socket(), ipsec(1)));
  finding("SOCKET_SECURITY_SETTINGS_IPSEC with protocol IPSEC2 (2)", set(w, w.socket(), ipsec(2)));
  finding("protocol 3 (INVALID since Windows 7)", set(w, w.socket(), settings(3, 0)));
  finding("an unknown security flag", set(w, w.socket(), settings(0, 0x100)));
});

await realTest(
  "whether loopback is protected",
  ["WSASetSocketSecurity", "WSAQuerySocketSecurity"],
  (w) => {
    try {
      const { client } = w.pair((socket) => assertEquals(set(w, socket, settings(0, 2)), 0));
      const info = new Uint8Array(24);
      const { code } = query(w, client, null, info);
      const flags = new DataView(info.buffer).getUint32(4, true);
      finding("a loopback connection with ALLOW_INSECURE", `code ${code}, flags ${flags}`);
    } catch (error) {
      finding("a loopback connection with ALLOW_INSECURE", (error as Error).message);
    }
  },
);

await realTest("reverting where nothing is impersonated does nothing", ["WSARevertImpersonation"], (w) => {
  assertEquals(w.error(w.fwp.call.WSARevertImpersonation()), 0);
});

declareTests();
