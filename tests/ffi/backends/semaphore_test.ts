/**
 * Calls, and waits without a time limit, on the few threads of a pool: alone, and with systems that wait in accept().
 */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { test } from "@test";
import process from "node:process";
import { type EndlessWait, Semaphore, semaphoreOfPool } from "../../../ffi/backends/semaphore.ts";
import { poolSemaphore } from "../../../ffi/backends/thread_pool.ts";
import { simulate } from "../../../testing/simulator/simulate.ts";
import { ipsec } from "../../../plugins/ipsec/mod.ts";
import { createRegistry } from "../../../plugins/registry.ts";
import { connect } from "../../../sockets/connect.ts";
import { listen } from "../../../sockets/listen.ts";
import { openDatagrams } from "../../../sockets/ipsec/open_datagrams.ts";
import { childOutcome, children } from "../../support/child.ts";
import { settled } from "../../support/socket_suite.ts";

const turn = (ms = 0) => new Promise((resolve) => setTimeout(resolve, ms));
/** More than the limit of any semaphore here, except on Windows machines with many processors. */
const SYSTEMS = process.versions.deno ? 40 : 4;

/**
 * Systems that each wait in accept() and receive(), and calls that use all threads until the end: then each system
 * accepts a connection and resolves a name. Returns how many did, and what is still open.
 */
async function busySystems(): Promise<unknown> {
  const network = simulate();
  const given = { requirements: { mutualAuthentication: false }, registry: createRegistry([ipsec()]) };
  const hold = Promise.withResolvers<void>();
  let [inside, served, called] = [0, 0, 0];
  {
    const names = Array.from({ length: SYSTEMS }, (_, index) => `s${index}`);
    const systems = names.map((name) => network.host(name));
    const listeners = await Promise.all(systems.map((system) => listen({ ...given, port: 7, system })));
    const accepting = listeners.map((listener) => listener.accept());
    const udp = await Promise.all(systems.map((system) => openDatagrams({ ...given, port: 9, system })));
    const receiving = udp.map((each) => each.receive(new Uint8Array(1)));
    await turn(20);
    // A call that ends gets a thread, whatever waits.
    for (let count = 0; count < 3; count++) await poolSemaphore().run(() => called++);
    const holding = Array.from({ length: SYSTEMS }, () =>
      poolSemaphore().run(() => {
        inside++;
        return hold.promise;
      }));
    while (inside === 0) await turn();
    await Promise.all(names.map(async (hostname, index) => {
      const system = systems[(index + 1) % SYSTEMS];
      await using client = await connect({ ...given, hostname, port: 7, system });
      await using server = await accepting[index];
      await client.write(Uint8Array.of(index));
      const p = new Uint8Array(1);
      await server.read(p);
      await udp[(index + 1) % SYSTEMS].send(p, { hostname, port: 9 });
      await receiving[index];
      served += p[0] === index ? 1 : 0;
    }));
    hold.resolve();
    await Promise.all(holding);
    await Promise.all([...listeners, ...udp].map((each) => each.close()));
    for (const system of systems) system.close();
  }
  return { served, called, left: { ...await settled(), ...network.held() } };
}

await children({ busySystems });

test("run() runs the limited number of calls at a time, in order, whether the calls succeed or fail", async () => {
  const semaphore = new Semaphore(2);
  const started: number[] = [];
  const ends: { end(): void; fail(): void }[] = [];
  const calls = Array.from({ length: 5 }, (_, index) =>
    semaphore.run(() => {
      started.push(index);
      return new Promise<number>((resolve, reject) =>
        ends.push({ end: () => resolve(index), fail: () => reject(new Error(`${index}`)) })
      );
    }));
  const settled = Promise.allSettled(calls);
  const turn = () => new Promise((resolve) => setTimeout(resolve));
  await turn();
  assertEquals(started, [0, 1]);
  ends[1].fail();
  await turn();
  assertEquals(started, [0, 1, 2]);
  ends[0].end();
  ends[2].end();
  await turn();
  assertEquals(started, [0, 1, 2, 3, 4]);
  ends[3].end();
  ends[4].end();
  assertEquals((await settled).map(({ status }) => status === "fulfilled"), [true, false, true, true, true]);
  assert(await semaphore.run(() => Promise.resolve(true)));
});

/** A wait that a test ends. */
class FakeWait implements EndlessWait<string> {
  blocked = 0;
  polls = 0;
  woken = 0;
  wakes = true;
  result: string | null = null;
  #end: ((result: string) => void) | null = null;

  block(): Promise<string> {
    this.blocked++;
    return new Promise((resolve) => this.#end = resolve);
  }

  wake(): boolean {
    this.woken++;
    if (this.wakes) this.end("woken");
    return this.wakes;
  }

  poll(): string | null {
    this.polls++;
    return this.result;
  }

  end(result: string): void {
    this.#end?.(result);
  }

  /** Waits until it is woken. */
  async pump(semaphore: Semaphore): Promise<string> {
    const wait = { block: () => this.block(), wake: () => this.wake(), poll: () => this.poll() };
    for (;;) {
      const result = await semaphore.wait(wait);
      if (result !== "woken") return result;
    }
  }
}

const waits = (count: number) => Array.from({ length: count }, () => new FakeWait());

test("wait() releases its thread for a call, and gets it back afterwards", async () => {
  const semaphore = new Semaphore(3);
  const all = waits(3);
  const pumps = all.map((each) => each.pump(semaphore));
  assertEquals(all.map(({ blocked }) => blocked), [1, 1, 1], "where there is room they block at once");
  const hold = Promise.withResolvers<string>();
  const call = semaphore.run(() => hold.promise);
  await turn(40);
  assertEquals(all.map(({ woken }) => woken), [1, 0, 0]);
  assert(all[0].polls > 0, "it looks by itself meanwhile");
  hold.resolve("ran");
  assertEquals(await call, "ran");
  await turn(40);
  assertEquals(all.map(({ blocked, woken }) => [blocked, woken]), [[2, 1], [1, 0], [1, 0]]);
  for (const [index, each] of all.entries()) each.end(`${index}`);
  assertEquals(await Promise.all(pumps), ["0", "1", "2"]);
});

test("wait() releases as many threads as there are calls, and the calls run in order", async () => {
  const semaphore = new Semaphore(2);
  const all = waits(2);
  const pumps = all.map((each) => each.pump(semaphore));
  const order: number[] = [];
  const calls = [0, 1, 2, 3].map((index) =>
    semaphore.run(async () => {
      order.push(index);
      await turn();
    })
  );
  await Promise.all(calls);
  assertEquals(order, [0, 1, 2, 3]);
  assertEquals(all.map(({ woken }) => woken), [1, 1]);
  await turn(40);
  for (const each of all) each.end("done");
  assertEquals(await Promise.all(pumps), ["done", "done"]);
});

test("wait() polls where no thread is free, until it is over", async () => {
  const semaphore = new Semaphore(1);
  const [first, second] = waits(2);
  const pumps = [first.pump(semaphore), second.pump(semaphore)];
  await turn(40);
  assertEquals([second.blocked, first.woken], [0, 0], "waits do not drive each other out");
  second.result = "found";
  assertEquals(await pumps[1], "found");
  first.end("too");
  assertEquals(await pumps[0], "too");
});

test("run() wakes a wait again where the wake-up failed, until the call runs", async () => {
  const semaphore = new Semaphore(1);
  const [wait] = waits(1);
  wait.wakes = false;
  const pump = wait.pump(semaphore);
  const call = semaphore.run(() => "ran");
  await turn(5);
  assertEquals(wait.woken, 1);
  while (wait.woken < 3) await turn(5);
  wait.wakes = true;
  assertEquals(await call, "ran");
  await turn(40);
  wait.end("done");
  assertEquals(await pump, "done");
});

test("run() wakes another wait where the first cannot be woken", async () => {
  const semaphore = new Semaphore(2);
  const all = waits(2);
  all[0].wakes = false;
  const pumps = all.map((each) => each.pump(semaphore));
  assertEquals(await semaphore.run(() => "ran"), "ran");
  await turn(40);
  for (const each of all) each.end("done");
  assertEquals(await Promise.all(pumps), ["done", "done"]);
});

test("wait() releases its thread where it fails", async () => {
  const semaphore = new Semaphore(1);
  const failing = { block: () => Promise.reject(new Error("no port")), wake: () => true, poll: () => null };
  await assertRejects(() => semaphore.wait(failing), Error, "no port");
  assertEquals(await semaphore.run(() => "ran"), "ran");
});

test("semaphoreOfPool(1) lets no wait block the thread, and runs calls one by one", async () => {
  const semaphore = semaphoreOfPool(1);
  const [wait] = waits(1);
  const pump = wait.pump(semaphore);
  await turn(20);
  assertEquals([wait.blocked, wait.polls > 0], [0, true]);
  assertEquals(await semaphore.run(() => "ran"), "ran");
  wait.result = "found";
  assertEquals(await pump, "found");
});

for (const size of process.versions.deno ? [undefined] : ["1", "2", "4", undefined]) {
  const pool = size === undefined ? "the runtime's own pool" : `a pool of ${size}`;
  test(`with ${pool}, ${SYSTEMS} systems that wait in accept() do not block calls, and continue while calls hang`, async () => {
    const env = size === undefined ? {} : { UV_THREADPOOL_SIZE: size };
    const flags = process.versions.deno ? ["-A"] : [];
    assertEquals(await childOutcome(import.meta.url, "busySystems", { env, flags }), {
      served: SYSTEMS,
      called: 3,
      left: { handles: 0, allocations: 0 },
    });
  });
}
