/**
 * The outcome of two ends' settings, compared with the documentation's tables, for every combination of settings, of
 * administrators' policies and of obstacles: over TCP and over UDP, byte by byte.
 */

import { assert, assertEquals } from "@std/assert";
import { test } from "@test";
import { TransportError } from "../../../errors.ts";
import { UdpSocket } from "../../../ffi/winsock/udp.ts";
import type { OverlappedSocket } from "../../../ffi/winsock/overlapped.ts";
import {
  SOCKET_INFO_CONNECTION,
  SOCKET_SECURITY_PROTOCOL,
  SOCKET_SETTINGS,
  SOCKET_SETTINGS_IPSEC,
} from "../../../ffi/raw/fwpuclnt.ts";
import { simulate, type SimulatedNetwork } from "../../../testing/simulator/simulate.ts";
import { TcpSocket } from "../../../ffi/winsock/tcp.ts";
import {
  ALL_STANCES,
  type Asked,
  combinations,
  OUTCOMES,
  POLICIES,
  type Policy,
  type Result,
  STANCES,
} from "../../support/documented_outcomes.ts";
import {
  answerFlags,
  ipsecSettings,
  plainSettings,
  queryTemplate,
  targetName,
} from "../../support/ipsec_bytes.ts";
import { type Side, withHosts } from "../../support/secure_hosts.ts";

const { GUARANTEE_ENCRYPTION, ALLOW_INSECURE } = SOCKET_SETTINGS;
const { SECURED, ENCRYPTED } = SOCKET_INFO_CONNECTION;
const { DEFAULT } = SOCKET_SECURITY_PROTOCOL;

/** The flags of each kind of settings; left out: no structure for flags. */
const FLAGS: { readonly [asked in Asked]?: number } = {
  "0": 0,
  "encrypt": GUARANTEE_ENCRYPTION,
  "insecure": ALLOW_INSECURE,
  "encrypt, insecure": GUARANTEE_ENCRYPTION | ALLOW_INSECURE,
};
const ALL_ASKED = Object.keys(STANCES) as Asked[];
const ANSWERS: { readonly [flags: number]: Result } = {
  0: "clear",
  [SECURED]: "secured",
  [SECURED | ENCRYPTED]: "encrypted",
};

/** The name set for the peer: none, right, wrong, or wrong and optional. */
type Naming = "none" | "right" | "wrong" | "optional";
const NAMES: { readonly [naming in Naming]: string | null } = {
  none: null,
  right: "host/server",
  wrong: "host/other",
  optional: "host/other",
};

/** The two computers. */
interface World {
  readonly client: Policy;
  readonly server: Policy;
  readonly clientCredentials: boolean;
  readonly serverCredentials: boolean;
  readonly clientEncryption: boolean;
  readonly serverEncryption: boolean;
  readonly protocol: "TCP" | "UDP";
}

/** The settings of both sockets. */
interface Ends {
  readonly here: Asked;
  readonly there: Asked;
  readonly naming: Naming;
}

const BOTH = [true, false];
const ENDS = combinations<{ here: Asked; there: Asked; naming: Naming }>({
  here: ALL_ASKED,
  there: ALL_ASKED,
  naming: ["none", "right", "wrong", "optional"],
  // The optional name is a flag, which needs a structure.
}).filter(({ here, naming }) => naming !== "optional" || FLAGS[here] !== undefined);

function tell({ secure }: Side, socket: OverlappedSocket, asked: Asked, naming: Naming): void {
  if (asked === "nothing") return;
  const flags = FLAGS[asked];
  const { OPTIONAL_PEER_NAME_VERIFICATION: optional, SKIP_FILTER_INSTANTIATION } = SOCKET_SETTINGS_IPSEC;
  if (asked === "no filters") {
    const none = { flags: GUARANTEE_ENCRYPTION, ipsecFlags: SKIP_FILTER_INSTANTIATION };
    return secure.setSecurity(socket, ipsecSettings(none));
  }
  if (flags === undefined) secure.setSecurity(socket, null);
  else if (naming === "optional") secure.setSecurity(socket, ipsecSettings({ flags, ipsecFlags: optional }));
  else secure.setSecurity(socket, plainSettings(flags));
}

/** The outcome in the tables. */
function expected(world: World, { here, there, naming }: Ends): Result {
  const table = !(world.clientCredentials && world.serverCredentials) || naming === "wrong"
    ? OUTCOMES.authentication
    : !(world.clientEncryption && world.serverEncryption)
    ? OUTCOMES.encryption
    : OUTCOMES.nothing;
  return table[STANCES[here][world.client]][STANCES[there][world.server]];
}

/** An end that receives, one for each kind of settings. */
interface Receiver {
  readonly side: Side;
  readonly socket: TcpSocket | UdpSocket;
}

async function receivers(side: Side, protocol: World["protocol"]): Promise<Map<Asked, Receiver>> {
  const all = new Map<Asked, Receiver>();
  for (const [index, asked] of ALL_ASKED.entries()) {
    const kind = protocol === "TCP" ? "stream" : "datagram";
    const [any] = await side.winsock.resolve("0.0.0.0", 700 + index, kind, "listen");
    const socket = protocol === "TCP" ? new TcpSocket(side.winsock, 4) : new UdpSocket(side.winsock, 4);
    tell(side, socket, asked, "none");
    socket.bind(any.bytes);
    if (socket instanceof TcpSocket) socket.listen(5);
    all.set(asked, { side, socket });
  }
  return all;
}

/** Sends a byte over a new connection; returns what both ends report. */
async function overTcp(client: Side, { side, socket }: Receiver, { here, naming }: Ends): Promise<Result> {
  const mine = new TcpSocket(client.winsock, 4);
  let theirs: TcpSocket | null = null;
  try {
    tell(client, mine, here, naming);
    const name = NAMES[naming];
    if (name) client.secure.setPeerTarget(mine, targetName(new Uint8Array(), name, DEFAULT));
    const [to] = await client.winsock.resolve("server", socket.localAddress.port, "stream");
    try {
      await mine.connect(to);
    } catch (error) {
      if (error instanceof TransportError) return "failed";
      throw error;
    }
    theirs = await (socket as TcpSocket).accept();
    const flags = [client.secure.query(mine, null), side.secure.query(theirs, null)].map(answerFlags);
    assertEquals(flags[0], flags[1], "both ends see the same");
    await mine.send(Uint8Array.of(1));
    assertEquals(await theirs.receive(new Uint8Array(8)), 1);
    return ANSWERS[flags[0]];
  } finally {
    await theirs?.close();
    await mine.close();
  }
}

/** Sends a datagram of one byte; returns what the sender reports, and checks what arrives. */
async function overUdp(
  client: Side,
  { side, socket }: Receiver,
  { here, naming }: Ends,
  network: SimulatedNetwork,
): Promise<Result> {
  const mine = new UdpSocket(client.winsock, 4);
  try {
    tell(client, mine, here, naming);
    const [to] = await client.winsock.resolve("server", socket.localAddress.port, "datagram");
    const name = NAMES[naming];
    if (name) client.secure.setPeerTarget(mine, targetName(to.bytes, name, DEFAULT));
    const before = total(network);
    await mine.sendTo(Uint8Array.of(1), to);
    const flags = answerFlags(client.secure.query(mine, queryTemplate(to.bytes, 0, DEFAULT)));
    if (total(network) === before) {
      assertEquals(flags, 0, "what was not sent was not secured");
      return "failed";
    }
    const { from } = await (socket as UdpSocket).receiveFrom();
    const theirs = side.secure.query(socket, queryTemplate(from.bytes, 0, DEFAULT));
    assertEquals(answerFlags(theirs), flags, "both ends see the same");
    return ANSWERS[flags];
  } finally {
    await mine.close();
  }
}

const total = ({ traffic }: SimulatedNetwork) => traffic.clear + traffic.secured + traffic.encrypted;

/** Runs every combination of settings between two computers; returns their number. */
async function walk(world: World): Promise<number> {
  const network = simulate({
    hosts: {
      client: {
        policy: world.client,
        credentials: world.clientCredentials,
        encryption: world.clientEncryption,
      },
      server: {
        policy: world.server,
        credentials: world.serverCredentials,
        encryption: world.serverEncryption,
      },
    },
  });
  await withHosts(network, async (client, server) => {
    const all = await receivers(server, world.protocol);
    for (const ends of ENDS) {
      const before = { ...network.traffic };
      const receiver = all.get(ends.there)!;
      const result = world.protocol === "TCP"
        ? await overTcp(client, receiver, ends)
        : await overUdp(client, receiver, ends, network);
      const what = JSON.stringify({ ...world, ...ends });
      assertEquals(result, expected(world, ends), what);
      const moved = (["clear", "secured", "encrypted"] as const).filter((kind) =>
        network.traffic[kind] > before[kind]
      );
      assertEquals(moved, result === "failed" ? [] : [result], what);
      for (const asked of [ends.here, ends.there]) {
        // Checked by the sentences themselves, not by the tables.
        const promised = !["nothing", "no filters"].includes(asked) && !asked.includes("insecure");
        if (promised) assert(!moved.includes("clear"), what);
        if (asked.includes("encrypt")) assertEquals(moved.filter((kind) => kind !== "encrypted"), [], what);
      }
    }
    for (const { socket } of all.values()) await socket.close();
  });
  return ENDS.length;
}

test("the tables of outcomes agree with the documentation they are written from", () => {
  for (const table of Object.values(OUTCOMES)) {
    for (const a of ALL_STANCES) {
      for (const b of ALL_STANCES) {
        assertEquals(table[a][b], table[b][a], "it does not matter who begins");
        const result = table[a][b];
        if (a === "insists") {
          assert(result !== "clear", "never in clear text, even if security negotiation fails");
        }
        if (a === "encrypts") {
          assert(result === "encrypted" || result === "failed", "no packets will be sent");
        }
        if (a === "silent") {
          assert(result === "clear" || result === "failed", "one end alone secures nothing");
        }
      }
    }
  }
});

for (const protocol of ["TCP", "UDP"] as const) {
  for (const { client, server } of combinations({ client: POLICIES, server: POLICIES })) {
    test(
      `two ends' settings over ${protocol}, policy ${client} here and ${server} there: the documentation's outcome, ` +
        "and no byte in clear that may not be",
      async () => {
        const worlds = combinations<Omit<World, "client" | "server" | "protocol">>({
          clientCredentials: BOTH,
          serverCredentials: BOTH,
          clientEncryption: BOTH,
          serverEncryption: BOTH,
        });
        let walked = 0;
        for (const world of worlds) walked += await walk({ ...world, client, server, protocol });
        assertEquals(walked, 16 * (7 * 7 * 3 + 4 * 7));
      },
    );
  }
}

for (const sizeProbe of ["WSAEFAULT", "WSAEMSGSIZE"] as const) {
  test(`query() finds the size of its answer where the probe returns ${sizeProbe}`, async () => {
    await withHosts(simulate({ sizeProbe }), async (client, server) => {
      const all = await receivers(server, "TCP");
      const ends = { here: "0", there: "0", naming: "right" } as const;
      assertEquals(await overTcp(client, all.get("0")!, ends), "secured");
      for (const { socket } of all.values()) await socket.close();
    });
  });
}
