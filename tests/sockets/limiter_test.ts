/** Who may begin and who must go, by the order of events alone: turns go round when the test says so. */

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
  /** Why it was dropped. */
  dropped: string | null;
  /** Whether it may begin. */
  begun: boolean;
  begin(): Seen;
}

function stage(slots: number) {
  const turns = new Turns();
  const state = { unaccepted: 0 };
  const all = new Limiter({ slots, unaccepted: () => state.unaccepted, turn: turns.turn });
  const enter = (): Seen => {
    const seen: Seen = {
      peer: limiter.add((reason) => seen.dropped = reason.message),
      dropped: null,
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
  /** Asks for room; `given` once there is. */
  const ask = () => {
    const asked = { given: false };
    all.waitForRoom().then(() => asked.given = true);
    return asked;
  };
  return { all, turns, state, enter, enterMany, ask };
}

const dropped = (seen: Seen[]) => seen.map((one) => one.dropped !== null);
const begun = (seen: Seen[]) => seen.map((one) => one.begun);

test("No more begin than there are slots, in the order in which their tokens came", async () => {
  const { enterMany } = stage(2);
  const [a, b, c, d] = enterMany(4);
  for (const one of [d, b, c, a]) one.begin();
  await settle();
  assertEquals(begun([a, b, c, d]), [false, true, false, true]);
  b.peer.leave();
  await settle();
  assertEquals(begun([a, b, c, d]), [false, true, true, true]);
});

test("A connection that nobody has fetched takes a slot until it is fetched", async () => {
  const { all, state, enter } = stage(1);
  state.unaccepted = 1;
  const one = enter().begin();
  await settle();
  assertEquals(one.begun, false);
  state.unaccepted = 0;
  all.settle();
  await settle();
  assertEquals(one.begun, true);
});

test("The silent take no slot: who has sent its token begins at once, and nobody is dropped", async () => {
  const { turns, enterMany, enter } = stage(1);
  const silent = enterMany(CONNECTIONS_PER_SLOT - 1);
  const honest = enter().begin();
  await settle();
  assertEquals([honest.begun, turns.counted], [true, false]);
  assertEquals(dropped(silent).includes(true), false);
});

test("Where no more can be held the one that came first and is silent makes room, and not before its patience is over", async () => {
  const { turns, enterMany, enter, ask } = stage(1);
  const [speaks, ...silent] = enterMany(CONNECTIONS_PER_SLOT);
  const working = enter().begin();
  speaks.begin();
  const asked = ask();
  turns.pass(GRACE_TURNS - 1);
  await settle();
  assertEquals([asked.given, dropped(silent).includes(true)], [false, false]);
  turns.pass(1);
  await settle();
  assertEquals([asked.given, turns.counted], [true, false]);
  assertEquals(dropped([working, speaks, ...silent]).indexOf(true), 2, "the first of the silent");
  assertStringIncludes(silent[0].dropped!, "maxHandshakes");
  assertEquals(dropped(silent).filter(Boolean).length, 1);
});

test("While the loop does not go round nobody is dropped, whatever time passes", async () => {
  const { turns, enterMany, ask } = stage(1);
  const silent = enterMany(CONNECTIONS_PER_SLOT);
  const asked = ask();
  await settle();
  assertEquals([asked.given, turns.counted, dropped(silent).includes(true)], [false, true, false]);
});

test("Who sends its token while a newcomer waits has made room by that, and nobody is dropped", async () => {
  const { turns, enterMany, ask } = stage(1);
  const [late, ...silent] = enterMany(CONNECTIONS_PER_SLOT);
  const asked = ask();
  turns.pass(GRACE_TURNS - 1);
  late.begin();
  await settle();
  assertEquals([late.begun, asked.given, turns.counted], [true, true, false]);
  turns.pass(1);
  assertEquals(dropped([late, ...silent]).includes(true), false);
});

test("Patience that is over need not be waited for again", async () => {
  const { turns, enterMany, enter, ask } = stage(1);
  const silent = enterMany(CONNECTIONS_PER_SLOT);
  ask();
  turns.pass(GRACE_TURNS);
  await settle();
  for (let index = 1; index < 4; index++) {
    enter();
    const asked = ask();
    await settle();
    assertEquals([asked.given, silent[index].dropped !== null], [true, true]);
  }
});

test("Who waits for its peer in a slot gives it up to one that could begin, the longest wait first", async () => {
  const { turns, enterMany, enter } = stage(3);
  const [first, second, working] = enterMany(3).map((one) => one.begin());
  await settle();
  second.peer.onWaiting(true);
  first.peer.onWaiting(true);
  assertEquals(turns.counted, false, "nobody lacks a slot");
  const next = enter().begin();
  turns.pass(GRACE_TURNS - 1);
  assertEquals(dropped([first, second, working]), [false, false, false]);
  turns.pass(1);
  assertEquals(dropped([first, second, working]), [false, true, false]);
  assertStringIncludes(second.dropped!, "all 3 slots (maxHandshakes)");
  await settle();
  assertEquals(next.begun, false, "the slot is free when the dropped one holds nothing any more");
  turns.pass(GRACE_TURNS);
  assertEquals(first.dropped, null, "one goes for one");
  second.peer.leave();
  await settle();
  assertEquals([next.begun, turns.counted], [true, false]);
});

test("A wait that ends is forgotten: only what a peer makes others wait for counts", async () => {
  const { turns, enter } = stage(1);
  const [placed] = [enter().begin()];
  const next = enter().begin();
  for (let leg = 0; leg < 3; leg++) {
    placed.peer.onWaiting(true);
    turns.pass(GRACE_TURNS - 1);
    placed.peer.onWaiting(false);
    turns.pass(GRACE_TURNS);
  }
  assertEquals([placed.dropped, next.begun], [null, false]);
  placed.peer.onWaiting(true);
  turns.pass(GRACE_TURNS);
  placed.peer.leave();
  await settle();
  assertEquals([placed.dropped !== null, next.begun], [true, true]);
});

test("While the provider is at work in every slot nobody is dropped, for any number of turns", async () => {
  const { turns, enterMany, ask } = stage(1);
  const queued = enterMany(CONNECTIONS_PER_SLOT + 1).map((one) => one.begin());
  const asked = ask();
  turns.pass(10 * GRACE_TURNS);
  await settle();
  assertEquals([dropped(queued).includes(true), asked.given], [false, false]);
  assertEquals(begun(queued).filter(Boolean).length, 1);
  queued[0].peer.leave();
  await settle();
  assertEquals([queued[1].begun, asked.given], [true, true]);
});

test("Bytes that trickle in renew nobody's patience before the first token is whole", async () => {
  const { turns, enterMany, ask } = stage(1);
  const [trickling] = enterMany(CONNECTIONS_PER_SLOT);
  ask();
  for (let turn = 0; turn < GRACE_TURNS; turn++) {
    trickling.peer.onWaiting(false);
    trickling.peer.onWaiting(true);
    turns.pass(1);
  }
  await settle();
  assertEquals(trickling.dropped !== null, true);
});

test("Where the system can hold no more, fewer wait to begin, and by and by as many as before", async () => {
  const { all, turns, enterMany, enter, ask } = stage(1);
  const silent = enterMany(5);
  all.shrink();
  const asked = ask();
  turns.pass(GRACE_TURNS);
  await settle();
  assertEquals([asked.given, silent[0].dropped !== null], [true, true]);
  const grow = (times: number) => {
    for (let index = 0; index < times; index++) enter().peer.leave();
  };
  grow(REGROWTH - 2);
  const [fifth] = enterMany(1);
  ask();
  await settle();
  assertEquals([silent[1].dropped !== null, fifth.dropped], [true, null], "five wait, and no more may");
  enter().peer.leave();
  grow((CONNECTIONS_PER_SLOT - 6) * REGROWTH);
  const more = enterMany(CONNECTIONS_PER_SLOT - 5);
  const roomy = ask();
  await settle();
  assertEquals([roomy.given, dropped([...silent.slice(2), fifth, ...more]).includes(true)], [true, false]);
});

test("Where the system can hold no more, an eighth of those that wait make room, for files that handshakes open", async () => {
  for (const [slots, spare] of [[1, CONNECTIONS_PER_SLOT >> 3], [8, SPARE]]) {
    const { all, turns, enterMany, ask } = stage(slots);
    const silent = enterMany(slots * CONNECTIONS_PER_SLOT);
    all.shrink();
    ask();
    turns.pass(GRACE_TURNS);
    await settle();
    assertEquals(dropped(silent).filter(Boolean).length, spare + 1, "and the newcomer's own");
    assertEquals(dropped(silent).indexOf(false), spare + 1);
  }
});

test("Where the system can hold fewer than there are slots, they grow with each that comes, to as many", async () => {
  const { all, turns, enter, enterMany, ask } = stage(8);
  const silent = enterMany(2);
  all.shrink();
  ask();
  turns.pass(GRACE_TURNS);
  await settle();
  assertEquals(dropped(silent), [true, false]);
  for (let index = 2; index < 8; index++) enter().peer.leave();
  const more = enterMany(6);
  const room = ask();
  await settle();
  assertEquals([room.given, dropped([silent[1], ...more]).includes(true)], [true, false]);
});

test("What cannot be left to the system is held beyond the limit, and the first silent go once their grace is over", async () => {
  const { all, turns, enterMany, enter } = stage(1);
  const silent = enterMany(CONNECTIONS_PER_SLOT);
  assertEquals(turns.counted, false);
  for (let index = 0; index < 3; index++) assertEquals(all.admit(false), null);
  const late = enterMany(3);
  turns.pass(GRACE_TURNS - 1);
  const honest = enter().begin();
  await settle();
  assertEquals([honest.begun, dropped([...silent, ...late]).includes(true)], [true, false]);
  turns.pass(1);
  assertEquals(dropped(silent).filter(Boolean).length, 3);
  assertEquals(dropped(silent).indexOf(false), 3);
  assertStringIncludes(silent[0].dropped!, "maxHandshakes");
  assertEquals([dropped(late).includes(true), turns.counted], [false, false]);
});

test("Where descriptors are scarce the first silent one makes room at once; where none is silent nobody is let in", async () => {
  const { all, enterMany } = stage(2);
  const [speaks, first, second] = enterMany(3);
  speaks.begin();
  assertEquals(all.admit(true), null);
  assertEquals(dropped([speaks, first, second]), [false, true, false]);
  assertStringIncludes(first.dropped!, "hardly a file descriptor left");
  assertEquals(all.admit(true), null);
  const refusal = all.admit(true);
  assertEquals([refusal?.name, (refusal as TransportError).codeName], ["TransportError", "EMFILE"]);
  await settle();
  assertEquals([speaks.begun, speaks.dropped], [true, null]);
});

test("However many come that cannot be left to the system, memory is bounded: the first silent, or the newcomer, goes at once", () => {
  const { all, enterMany } = stage(1);
  const most = OVERFLOW * CONNECTIONS_PER_SLOT;
  const everybody = enterMany(most);
  assertEquals(dropped(everybody).includes(true), false);
  assertEquals(all.admit(false), null);
  assertEquals(dropped(everybody).indexOf(true), 0);
  assertStringIncludes(everybody[0].dropped!, `${most} connections`);
  everybody.push(...enterMany(2));
  for (const one of everybody) one.begin();
  const refusal = all.admit(false);
  assertEquals(refusal?.name, "StateError");
  assertStringIncludes(refusal!.message, `${most} others wait`);
});

test("A dropped one that begins all the same gets no slot", async () => {
  const { turns, enterMany, ask } = stage(1);
  const [first] = enterMany(CONNECTIONS_PER_SLOT);
  ask();
  turns.pass(GRACE_TURNS);
  first.begin();
  await settle();
  assertEquals([first.dropped !== null, first.begun], [true, false]);
});

test("Closing lets the newcomer go, gives no more slots, drops nobody and counts no turns", async () => {
  const { all, turns, enterMany, enter, ask } = stage(1);
  const silent = enterMany(CONNECTIONS_PER_SLOT);
  const asked = ask();
  all.close();
  await settle();
  assertEquals([asked.given, turns.counted], [true, false]);
  const late = enter().begin();
  turns.pass(GRACE_TURNS);
  await settle();
  assertEquals([late.begun, dropped(silent).includes(true)], [false, false]);
});
