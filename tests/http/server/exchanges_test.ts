/** Exchanges that wait for their clients: how many, how long, and on which connection. */

import { assertEquals } from "@std/assert";
import { EventEmitter } from "node:events";
import { test } from "@test";
import { type Exchange, Exchanges } from "../../../http/server/exchanges.ts";
import type { SecurityContext } from "../../../mod.ts";

/** Exchanges whose contexts count how often they are closed. */
function make(limits: { maxPending?: number; timeoutMs?: number } = {}) {
  const exchanges = new Exchanges({ maxPending: 3, timeoutMs: 60_000, ...limits });
  const closed: number[] = [], signals: AbortSignal[] = [];
  let made = 0;
  const begin = (): Exchange => {
    const number = made++;
    return exchanges.begin("ntlm", (signal) => {
      signals.push(signal);
      return { close: () => void closed.push(number) } as unknown as SecurityContext;
    });
  };
  return { exchanges, begin, closed, signals };
}

test("Exchanges: one waits on its own connection, and is taken once", () => {
  const { exchanges, begin, closed } = make();
  const one = begin(), here = {}, there = {};
  exchanges.wait(here, one);
  assertEquals(exchanges.take(there), undefined);
  assertEquals(exchanges.take(here) === one, true);
  assertEquals(exchanges.take(here), undefined);
  assertEquals([closed, exchanges.size], [[], 1]);
  one.close();
  assertEquals([closed, exchanges.size], [[0], 0]);
});

test("Exchanges: the oldest that waits makes room for the next", () => {
  const { exchanges, begin, closed } = make();
  const connections = Array.from({ length: 5 }, () => ({}));
  for (const connection of connections) exchanges.wait(connection, begin());
  assertEquals([closed, exchanges.size], [[0, 1], 3]);
  assertEquals(connections.map((connection) => exchanges.take(connection) !== undefined), [
    false,
    false,
    true,
    true,
    true,
  ]);
  exchanges.close();
  assertEquals([closed, exchanges.size], [[0, 1, 2, 3, 4], 0]);
});

test("Exchanges: another exchange of the same connection replaces the first", () => {
  const { exchanges, begin, closed } = make();
  const connection = {}, second = (exchanges.wait(connection, begin()), begin());
  exchanges.wait(connection, second);
  assertEquals(closed, [0]);
  assertEquals(exchanges.take(connection) === second, true);
  exchanges.close();
});

test("Exchanges: the end of a connection closes what waits on it, and one listener serves all its exchanges", () => {
  const { exchanges, begin, closed } = make();
  const socket = new EventEmitter();
  for (let count = 0; count < 5; count++) exchanges.wait(socket, begin());
  assertEquals([socket.listenerCount("close"), closed], [1, [0, 1, 2, 3]]);
  socket.emit("close");
  assertEquals([closed, exchanges.size], [[0, 1, 2, 3, 4], 0]);
});

test("Exchanges: one whose time is over is aborted and closed, waiting or not", async () => {
  const { exchanges, begin, closed, signals } = make({ timeoutMs: 20 });
  const connection = {}, running = begin();
  exchanges.wait(connection, begin());
  await Promise.all(
    signals.map((signal) => new Promise((resolve) => signal.addEventListener("abort", resolve))),
  );
  assertEquals([closed, exchanges.size, exchanges.take(connection)], [[0, 1], 0, undefined]);
  assertEquals(signals.map(({ reason }) => reason.name), ["TimeoutError", "TimeoutError"]);
  // It ended during its step: it must not wait now.
  exchanges.wait(connection, running);
  assertEquals(exchanges.take(connection), undefined);
});
