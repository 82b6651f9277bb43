/** Waits for events, with a kernel whose results the test sets. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { test } from "@test";
import { TransportError } from "../../../errors.ts";
import type { Library } from "../../../ffi/abi.ts";
import { Events } from "../../../ffi/winsock/events.ts";
import { liveHandles } from "../../../ffi/handles.ts";
import { type KERNEL32, MAXIMUM_WAIT_OBJECTS, WAIT_FAILED, WAIT_TIMEOUT } from "../../../ffi/raw/kernel32.ts";

/** Existing events, and running waits, each with its handles. */
class FakeKernel {
  readonly open = new Set<bigint>();
  readonly waits: { readonly handles: bigint[]; end(result: number): void }[] = [];
  /** Handles that SetEvent was called with. */
  readonly set: bigint[] = [];
  /** Whether SetEvent fails. */
  deaf = false;
  /** The handles that were polled. */
  readonly looks: bigint[] = [];
  /** The result of polling, by handle; left out: an event that is not set. */
  readonly found = new Map<bigint, number>();
  /** After how many events CreateEventW fails. */
  most = Infinity;
  #next = 1n;

  get library(): Library<typeof KERNEL32> {
    const call = {
      GetLastError: () => 8,
      CreateEventW: () => {
        if (this.open.size >= this.most) return 0n;
        this.open.add(this.#next);
        return this.#next++;
      },
      CloseHandle: (handle: bigint) => this.open.delete(handle) ? 1 : 0,
      SetEvent: (handle: bigint) => {
        this.set.push(handle);
        return this.deaf ? 0 : 1;
      },
      WaitForMultipleObjects: (count: number, bytes: Uint8Array, _all: number, milliseconds: number) => {
        assertEquals([count, milliseconds], [1, 0]);
        const handle = new DataView(bytes.buffer).getBigUint64(0, true);
        this.looks.push(handle);
        return this.found.get(handle) ?? WAIT_TIMEOUT;
      },
    };
    const threaded = {
      WaitForMultipleObjects: (count: number, bytes: Uint8Array) =>
        new Promise<number>((end) => {
          const view = new DataView(bytes.buffer);
          const handles = Array.from({ length: count }, (_, index) => view.getBigUint64(index * 8, true));
          this.waits.push({ handles, end });
        }),
    };
    return { path: "", call, threaded, close: () => {} } as unknown as Library<typeof KERNEL32>;
  }
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

test("wait() uses one thread for all events, and includes an event that is added", async () => {
  const kernel = new FakeKernel();
  const events = new Events(kernel.library);
  const [a, b] = [events.open(), events.open()];
  const waitingA = a.wait();
  assertEquals(kernel.waits.length, 1);
  const [wake] = kernel.waits[0].handles;
  assertEquals(kernel.waits[0].handles, [wake, a.handle]);
  const waitingB = b.wait();
  assertEquals([kernel.waits.length, kernel.set], [1, [wake]]);
  kernel.waits[0].end(0);
  await turn();
  assertEquals(kernel.waits[1].handles, [wake, a.handle, b.handle]);
  kernel.waits[1].end(2);
  await waitingB;
  b.close();
  await turn();
  assertEquals(kernel.waits[2].handles, [wake, a.handle]);
  kernel.waits[2].end(1);
  await waitingA;
  await turn();
  assertEquals(kernel.waits.length, 3, "nobody waits, and no thread does");
  a.close();
  assertEquals([kernel.open.size, liveHandles()], [0, {}]);
});

test("wait() uses another thread for each further 63 events", async () => {
  const kernel = new FakeKernel();
  const events = new Events(kernel.library);
  const all = Array.from({ length: MAXIMUM_WAIT_OBJECTS }, () => events.open());
  const waiting = all.map((event) => event.wait());
  assertEquals(kernel.waits.length, 2);
  kernel.waits[0].end(0);
  await turn();
  assertEquals(kernel.waits[2].handles.length, MAXIMUM_WAIT_OBJECTS);
  kernel.waits[1].end(1);
  await waiting[MAXIMUM_WAIT_OBJECTS - 1];
  all[MAXIMUM_WAIT_OBJECTS - 1].close();
  for (let index = 0; index < MAXIMUM_WAIT_OBJECTS - 1; index++) {
    kernel.waits[kernel.waits.length - 1].end(1);
    await waiting[index];
    all[index].close();
    await turn();
  }
  assertEquals([kernel.open.size, liveHandles()], [0, {}]);
});

test("close() of an event that was not waited for ends its thread", () => {
  const kernel = new FakeKernel();
  const events = new Events(kernel.library);
  events.open().close();
  events.open().close();
  assertEquals([kernel.waits.length, kernel.open.size, liveHandles()], [0, 0, {}]);
});

for (const most of [0, 1]) {
  test(`open() fails and leaves no event open where the system creates only ${most} of two events`, () => {
    const kernel = new FakeKernel();
    kernel.most = most;
    const events = new Events(kernel.library);
    const error = assertThrows(() => events.open(), TransportError);
    assertEquals(error.codeName, "ERROR_NOT_ENOUGH_MEMORY");
    assertEquals([kernel.open.size, liveHandles()], [0, {}]);
    kernel.most = Infinity;
    events.open().close();
    assertEquals(kernel.open.size, 0);
  });
}

test("wait() rejects for every event where the system cannot wait, and the events stay open", async () => {
  const kernel = new FakeKernel();
  const events = new Events(kernel.library);
  const [a, b] = [events.open(), events.open()];
  const waiting = [a.wait(), b.wait()].map((each) =>
    assertRejects(
      () => each,
      TransportError,
      "WaitForMultipleObjects failed with an error whose code was lost",
    )
  );
  kernel.waits[0].end(WAIT_FAILED);
  await Promise.all(waiting);
  assertEquals(kernel.open.size, 3);
  a.close();
  b.close();
  assertEquals([kernel.open.size, liveHandles()], [0, {}]);
});

/** Waits for a limited number of turns of the event loop until `when` is true. */
async function until(when: () => boolean): Promise<void> {
  for (let turns = 0; turns < 5000 && !when(); turns++) await turn();
  assert(when(), String(when));
}

test("wait() polls an event whose thread cannot be woken, until it is set", async () => {
  const kernel = new FakeKernel();
  const events = new Events(kernel.library);
  const [a, b] = [events.open(), events.open()];
  const waitingA = a.wait();
  kernel.deaf = true;
  let over = false;
  const waitingB = b.wait().then(() => over = true);
  await until(() => kernel.looks.length >= 2);
  assertEquals([over, kernel.waits.length], [false, 1], "not woken is not set");
  kernel.found.set(b.handle, 0);
  await waitingB;
  b.close();
  assertEquals(new Set(kernel.looks), new Set([b.handle]));
  kernel.waits[0].end(1);
  await waitingA;
  a.close();
  await turn();
  assertEquals([kernel.waits.length, kernel.open.size, liveHandles()], [1, 0, {}]);
});

test("wait() includes an event when its thread wakes for another reason", async () => {
  const kernel = new FakeKernel();
  const events = new Events(kernel.library);
  const [a, b] = [events.open(), events.open()];
  const waitingA = a.wait();
  kernel.deaf = true;
  const waitingB = b.wait();
  kernel.waits[0].end(1);
  await waitingA;
  a.close();
  await until(() => kernel.waits.length === 2);
  const [wake] = kernel.waits[1].handles;
  assertEquals(kernel.waits[1].handles, [wake, b.handle]);
  // It is set, and the thread still uses it: an event must not be closed while a thread waits for it.
  kernel.found.set(b.handle, 0);
  let over = false;
  waitingB.then(() => over = true);
  await new Promise((resolve) => setTimeout(resolve, 60));
  assertEquals([over, kernel.looks], [false, []]);
  kernel.waits[1].end(1);
  await waitingB;
  b.close();
  assertEquals([kernel.open.size, liveHandles()], [0, {}]);
});

test("wait() rejects for one event only, where the system can neither wake the thread nor poll", async () => {
  const kernel = new FakeKernel();
  const events = new Events(kernel.library);
  const [a, b] = [events.open(), events.open()];
  const waitingA = a.wait();
  kernel.deaf = true;
  kernel.found.set(b.handle, WAIT_FAILED);
  await assertRejects(
    () => b.wait(),
    TransportError,
    "WaitForMultipleObjects failed with ERROR_NOT_ENOUGH_MEMORY",
  );
  kernel.waits[0].end(1);
  await waitingA;
  a.close();
  b.close();
  assertEquals([kernel.open.size, liveHandles()], [0, {}]);
});

test("isUnset() is true for an event that is not set, and false where the system cannot report it", () => {
  const kernel = new FakeKernel();
  const event = new Events(kernel.library).open();
  assertEquals(event.isUnset(), true);
  for (const result of [0, WAIT_FAILED]) {
    kernel.found.set(event.handle, result);
    assertEquals(event.isUnset(), false);
  }
  event.close();
  assertEquals([kernel.open.size, liveHandles()], [0, {}]);
});
