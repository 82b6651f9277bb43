/**
 * Which peers begin and which are evicted, by the order of events only: the test controls the turns of the event
 * loop.
 */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import type { TransportError } from "../../errors.ts";
import {
  CONNECTIONS_PER_SLOT,
  GRACE_TURNS,
  type LimitedPeer,
  Limiter,
  OVERFLOW,
  REGROWTH,
  SPARE,
} from "../../sockets/limiter.ts";
import { settle } from "../support/memory_transport.ts";
import { Turns } from "../support/turns.ts";

interface Seen {
  peer: LimitedPeer;
  /** Why it was evicted. */
  evicted: string | null;
  /** Whether it has begun. */
  begun: boolean;
  begin(): Seen;
}

function stage(slots: number) {
  const turns = new Turns();
  const state = { unaccepted: 0 };
  const limiter = new Limiter({ slots, unaccepted: () => state.unaccepted, turn: turns.turn });
  const enter = (): Seen => {
    const seen: Seen = {
      peer: limiter.add((reason) => seen.evicted = reason.message),
      evicted: null,
      begun: false,
      begin() {
        const slot = seen.peer.begin();
        if (slot === null) seen.begun = true;
        else slot.then(() => seen.begun = true);
        return seen;
      },
    };
    return seen;
  };
  const enterMany = (count: number) => Array.from({ length: count }, enter);
  /** Waits for room; `given` once there is. */
  const ask = () => {
    const asked = { given: false };
    limiter.waitForRoom().then(() => asked.given = true);
    return asked;
  };
  return { limiter, turns, state, enter, enterMany, ask };
}

const evicted = (seen: Seen[]) => seen.map((one) => one.evicted !== null);
const begun = (seen: Seen[]) => seen.map((one) => one.begun);

test("Limiter: no more handshakes begin than there are slots, in the order in which their tokens arrived", async () => {
  const { enterMany } = stage(2);
  const [a, b, c, d] = enterMany(4);
  for (const one of [d, b, c, a]) one.begin();
  await settle();
  assertEquals(begun([a, b, c, d]), [false, true, false, true]);
  b.peer.leave();
  await settle();
  assertEquals(begun([a, b, c, d]), [false, true, true, true]);
});

test("Limiter: a connection that was not accepted takes a slot until it is accepted", async () => {
  const { limiter, state, enter } = stage(1);
  state.unaccepted = 1;
  const one = enter().begin();
  await settle();
  assertEquals(one.begun, false);
  state.unaccepted = 0;
  limiter.settle();
  await settle();
  assertEquals(one.begun, true);
});

test("Limiter: silent peers take no slot: one that has sent its token begins at once, and nobody is evicted", async () => {
  const { turns, enterMany, enter } = stage(1);
  const silent = enterMany(CONNECTIONS_PER_SLOT - 1);
  const honest = enter().begin();
  await settle();
  assertEquals([honest.begun, turns.counted], [true, false]);
  assertEquals(evicted(silent).includes(true), false);
});

test(
  "Limiter: if there is no more room the first silent peer is evicted, and not before its grace period " +
    "is over",
  async () => {
    const { turns, enterMany, enter, ask } = stage(1);
    const [speaks, ...silent] = enterMany(CONNECTIONS_PER_SLOT);
    const working = enter().begin();
    speaks.begin();
    const asked = ask();
    turns.pass(GRACE_TURNS - 1);
    await settle();
    assertEquals([asked.given, evicted(silent).includes(true)], [false, false]);
    turns.pass(1);
    await settle();
    assertEquals([asked.given, turns.counted], [true, false]);
    assertEquals(evicted([working, speaks, ...silent]).indexOf(true), 2, "the first of the silent");
    assertStringIncludes(silent[0].evicted!, "maxHandshakes");
    assertEquals(evicted(silent).filter(Boolean).length, 1);
  },
);

test("Limiter: nobody is evicted while the event loop does not turn, whatever time passes", async () => {
  const { turns, enterMany, ask } = stage(1);
  const silent = enterMany(CONNECTIONS_PER_SLOT);
  const asked = ask();
  await settle();
  assertEquals([asked.given, turns.counted, evicted(silent).includes(true)], [false, true, false]);
});

test("Limiter: a peer that sends its token makes room for a newcomer, and nobody is evicted", async () => {
  const { turns, enterMany, ask } = stage(1);
  const [late, ...silent] = enterMany(CONNECTIONS_PER_SLOT);
  const asked = ask();
  turns.pass(GRACE_TURNS - 1);
  late.begin();
  await settle();
  assertEquals([late.begun, asked.given, turns.counted], [true, true, false]);
  turns.pass(1);
  assertEquals(evicted([late, ...silent]).includes(true), false);
});

test("Limiter: a grace period that is over does not start again for the next newcomer", async () => {
  const { turns, enterMany, enter, ask } = stage(1);
  const silent = enterMany(CONNECTIONS_PER_SLOT);
  ask();
  turns.pass(GRACE_TURNS);
  await settle();
  for (let index = 1; index < 4; index++) {
    enter();
    const asked = ask();
    await settle();
    assertEquals([asked.given, silent[index].evicted !== null], [true, true]);
  }
});

test("Limiter: an active peer that is idle is evicted for one that is ready to begin, the longest wait first", async () => {
  const { turns, enterMany, enter } = stage(3);
  const [first, second, working] = enterMany(3).map((one) => one.begin());
  await settle();
  second.peer.onWaiting(true);
  first.peer.onWaiting(true);
  assertEquals(turns.counted, false, "nobody lacks a slot");
  const next = enter().begin();
  turns.pass(GRACE_TURNS - 1);
  assertEquals(evicted([first, second, working]), [false, false, false]);
  turns.pass(1);
  assertEquals(evicted([first, second, working]), [false, true, false]);
  assertStringIncludes(second.evicted!, "all 3 slots (maxHandshakes)");
  await settle();
  assertEquals(next.begun, false, "the slot is free when the evicted one holds nothing any more");
  turns.pass(GRACE_TURNS);
  assertEquals(first.evicted, null, "one goes for one");
  second.peer.leave();
  await settle();
  assertEquals([next.begun, turns.counted], [true, false]);
});

test("Limiter: an idle time that has ended does not count: only the current wait for the peer does", async () => {
  const { turns, enter } = stage(1);
  const [placed] = [enter().begin()];
  const next = enter().begin();
  for (let leg = 0; leg < 3; leg++) {
    placed.peer.onWaiting(true);
    turns.pass(GRACE_TURNS - 1);
    placed.peer.onWaiting(false);
    turns.pass(GRACE_TURNS);
  }
  assertEquals([placed.evicted, next.begun], [null, false]);
  placed.peer.onWaiting(true);
  turns.pass(GRACE_TURNS);
  placed.peer.leave();
  await settle();
  assertEquals([placed.evicted !== null, next.begun], [true, true]);
});

test("Limiter: nobody is evicted while the provider is working in every slot, for any number of turns", async () => {
  const { turns, enterMany, ask } = stage(1);
  const queued = enterMany(CONNECTIONS_PER_SLOT + 1).map((one) => one.begin());
  const asked = ask();
  turns.pass(10 * GRACE_TURNS);
  await settle();
  assertEquals([evicted(queued).includes(true), asked.given], [false, false]);
  assertEquals(begun(queued).filter(Boolean).length, 1);
  queued[0].peer.leave();
  await settle();
  assertEquals([queued[1].begun, asked.given], [true, true]);
});

test("Limiter: bytes that trickle in do not extend the grace period before the first token is whole", async () => {
  const { turns, enterMany, ask } = stage(1);
  const [trickling] = enterMany(CONNECTIONS_PER_SLOT);
  ask();
  for (let turn = 0; turn < GRACE_TURNS; turn++) {
    trickling.peer.onWaiting(false);
    trickling.peer.onWaiting(true);
    turns.pass(1);
  }
  await settle();
  assertEquals(trickling.evicted !== null, true);
});

test("Limiter.shrink(): fewer may wait to begin, and gradually as many as before", async () => {
  const { limiter, turns, enterMany, enter, ask } = stage(1);
  const silent = enterMany(5);
  limiter.shrink();
  const asked = ask();
  turns.pass(GRACE_TURNS);
  await settle();
  assertEquals([asked.given, silent[0].evicted !== null], [true, true]);
  const grow = (times: number) => {
    for (let index = 0; index < times; index++) enter().peer.leave();
  };
  grow(REGROWTH - 2);
  const [fifth] = enterMany(1);
  ask();
  await settle();
  assertEquals([silent[1].evicted !== null, fifth.evicted], [true, null], "five wait, and no more may");
  enter().peer.leave();
  grow((CONNECTIONS_PER_SLOT - 6) * REGROWTH);
  const more = enterMany(CONNECTIONS_PER_SLOT - 5);
  const roomy = ask();
  await settle();
  assertEquals([roomy.given, evicted([...silent.slice(2), fifth, ...more]).includes(true)], [true, false]);
});

test("Limiter.shrink(): an eighth of the waiting peers make room for the files that handshakes open", async () => {
  for (const [slots, spare] of [[1, CONNECTIONS_PER_SLOT >> 3], [8, SPARE]]) {
    const { limiter, turns, enterMany, ask } = stage(slots);
    const silent = enterMany(slots * CONNECTIONS_PER_SLOT);
    limiter.shrink();
    ask();
    turns.pass(GRACE_TURNS);
    await settle();
    assertEquals(evicted(silent).filter(Boolean).length, spare + 1, "and the newcomer's own");
    assertEquals(evicted(silent).indexOf(false), spare + 1);
  }
});

test("Limiter.shrink() below the number of slots: the limit grows with each connection up to that number", async () => {
  const { limiter, turns, enter, enterMany, ask } = stage(8);
  const silent = enterMany(2);
  limiter.shrink();
  ask();
  turns.pass(GRACE_TURNS);
  await settle();
  assertEquals(evicted(silent), [true, false]);
  for (let index = 2; index < 8; index++) enter().peer.leave();
  const more = enterMany(6);
  const room = ask();
  await settle();
  assertEquals([room.given, evicted([silent[1], ...more]).includes(true)], [true, false]);
});

test(
  "Limiter.admit() keeps connections beyond the limit, and evicts the first silent ones after their " +
    "grace period",
  async () => {
    const { limiter, turns, enterMany, enter } = stage(1);
    const silent = enterMany(CONNECTIONS_PER_SLOT);
    assertEquals(turns.counted, false);
    for (let index = 0; index < 3; index++) assertEquals(limiter.admit(false), null);
    const late = enterMany(3);
    turns.pass(GRACE_TURNS - 1);
    const honest = enter().begin();
    await settle();
    assertEquals([honest.begun, evicted([...silent, ...late]).includes(true)], [true, false]);
    turns.pass(1);
    assertEquals(evicted(silent).filter(Boolean).length, 3);
    assertEquals(evicted(silent).indexOf(false), 3);
    assertStringIncludes(silent[0].evicted!, "maxHandshakes");
    assertEquals([evicted(late).includes(true), turns.counted], [false, false]);
  },
);

test(
  "Limiter.admit() with scarce descriptors evicts the first silent peer at once; if none is silent it " +
    "refuses the newcomer",
  async () => {
    const { limiter, enterMany } = stage(2);
    const [speaks, first, second] = enterMany(3);
    speaks.begin();
    assertEquals(limiter.admit(true), null);
    assertEquals(evicted([speaks, first, second]), [false, true, false]);
    assertStringIncludes(first.evicted!, "hardly a file descriptor left");
    assertEquals(limiter.admit(true), null);
    const refusal = limiter.admit(true);
    assertEquals([refusal?.name, (refusal as TransportError).codeName], ["TransportError", "EMFILE"]);
    await settle();
    assertEquals([speaks.begun, speaks.evicted], [true, null]);
  },
);

test("Limiter.admit() bounds memory: the first silent peer is evicted, or the newcomer refused, at once", () => {
  const { limiter, enterMany } = stage(1);
  const most = OVERFLOW * CONNECTIONS_PER_SLOT;
  const everybody = enterMany(most);
  assertEquals(evicted(everybody).includes(true), false);
  assertEquals(limiter.admit(false), null);
  assertEquals(evicted(everybody).indexOf(true), 0);
  assertStringIncludes(everybody[0].evicted!, `${most} connections`);
  everybody.push(...enterMany(2));
  for (const one of everybody) one.begin();
  const refusal = limiter.admit(false);
  assertEquals(refusal?.name, "StateError");
  assertStringIncludes(refusal!.message, `${most} others wait`);
});

test("Limiter: an evicted peer that begins anyway gets no slot", async () => {
  const { turns, enterMany, ask } = stage(1);
  const [first] = enterMany(CONNECTIONS_PER_SLOT);
  ask();
  turns.pass(GRACE_TURNS);
  first.begin();
  await settle();
  assertEquals([first.evicted !== null, first.begun], [true, false]);
});

test("Limiter.close() releases the newcomer, gives no more slots, evicts nobody and counts no turns", async () => {
  const { limiter, turns, enterMany, enter, ask } = stage(1);
  const silent = enterMany(CONNECTIONS_PER_SLOT);
  const asked = ask();
  limiter.close();
  await settle();
  assertEquals([asked.given, turns.counted], [true, false]);
  const late = enter().begin();
  turns.pass(GRACE_TURNS);
  await settle();
  assertEquals([late.begun, evicted(silent).includes(true)], [false, false]);
});
