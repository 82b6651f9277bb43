/** Thousands of simulated connections under random faults. */

import { assertEquals, assertNotEquals } from "@std/assert";
import { test } from "@test";
import { SecureSocketError } from "../../../errors.ts";
import {
  SOCKET_INFO_CONNECTION,
  SOCKET_SECURITY_PROTOCOL,
  SOCKET_SETTINGS,
} from "../../../ffi/raw/fwpuclnt.ts";
import { simulate } from "../../../testing/simulator/simulate.ts";
import { TcpSocket } from "../../../ffi/winsock/tcp.ts";
import { answerFlags, plainSettings, targetName } from "../../support/ipsec_bytes.ts";
import { type Side, withHosts } from "../../support/secure_hosts.ts";

const NONE = new Uint8Array();
const { DEFAULT } = SOCKET_SECURITY_PROTOCOL;
const on = plainSettings(0);
const encrypted = plainSettings(SOCKET_SETTINGS.GUARANTEE_ENCRYPTION);
const both = SOCKET_INFO_CONNECTION.SECURED | SOCKET_INFO_CONNECTION.ENCRYPTED;

/** Uses and closes one connection; every step may fail. Returns the result. */
async function life(client: Side, server: Side, listener: TcpSocket): Promise<string> {
  let accepted: TcpSocket | null = null;
  let socket: TcpSocket | null = null;
  const stop = new AbortController();
  const accepting = listener.accept(stop.signal).then((conn) => void (accepted = conn), () => {});
  try {
    socket = new TcpSocket(client.winsock, listener.version);
    client.secure.setSecurity(socket, encrypted);
    client.secure.setPeerTarget(socket, targetName(NONE, "host/server", DEFAULT));
    await socket.connect(listener.localAddress);
    await accepting;
    if (answerFlags(client.secure.query(socket, null)) !== both) throw new Error("not secured");
    const peer = accepted as TcpSocket | null;
    if (peer === null) return "not accepted";
    await socket.send(Uint8Array.of(1, 2, 3));
    await peer.receive(new Uint8Array(3));
    server.secure.query(peer, null);
    return "served";
  } catch (error) {
    if (!(error instanceof SecureSocketError)) throw error;
    return error.message;
  } finally {
    stop.abort();
    await accepting;
    await socket?.close();
    await (accepted as TcpSocket | null)?.close();
  }
}

/** A listener, or `null` where a fault prevented it. */
async function tryToListen({ winsock, secure }: Side): Promise<TcpSocket | null> {
  let socket: TcpSocket | null = null;
  try {
    const [any] = await winsock.resolve("server", 0, "stream", "listen");
    socket = new TcpSocket(winsock, any.version);
    secure.setSecurity(socket, on);
    socket.bind(any.bytes);
    socket.listen(1000);
    return socket;
  } catch (error) {
    if (!(error instanceof SecureSocketError)) throw error;
    await socket?.close();
    return null;
  }
}

/** 5,000 connections, a hundred at a time, of which nothing may stay open. */
async function thousands(seed: number): Promise<{ readonly outcomes: string[]; readonly faults: number }> {
  const network = simulate({ faults: { seed, perThousand: 20 } });
  const outcomes: string[] = [];
  await withHosts(network, async (client, server) => {
    let listener: TcpSocket | null = null;
    while (listener === null) listener = await tryToListen(server);
    for (let batch = 0; batch < 50; batch++) {
      outcomes.push(...await Promise.all(Array.from({ length: 100 }, () => life(client, server, listener))));
    }
    await listener.close();
  });
  assertEquals(network.traffic.clear, 0);
  assertEquals(network.faultsInjected > 500, true, `${network.faultsInjected} faults`);
  return { outcomes, faults: network.faultsInjected };
}

test("5,000 connections under random faults leave no handle, buffer or promise open, and send no clear text", async () => {
  const { outcomes } = await thousands(20261120);
  assertEquals(outcomes.length, 5000);
  const served = outcomes.filter((outcome) => outcome === "served").length;
  assertEquals(served > 2500 && served < 4900, true, `${served} were served`);
});

test("the same seed gives 5,000 connections the same faults, and another seed others", async () => {
  const [one, again, other] = [await thousands(7), await thousands(7), await thousands(8)];
  assertEquals(again, one);
  assertNotEquals(other.outcomes, one.outcomes);
});
