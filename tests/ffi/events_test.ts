/** Waiting for events: over a kernel that says what a test has it say. */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { test } from "@test";
import { TransportError } from "../../errors.ts";
import type { Library } from "../../ffi/abi.ts";
import { Events } from "../../ffi/events.ts";
import { liveHandles } from "../../ffi/live.ts";
import { type KERNEL32, MAXIMUM_WAIT_OBJECTS, WAIT_FAILED } from "../../ffi/raw/kernel32.ts";

/** Events that exist, and the waits under way, each with the handles it was given. */
class FakeKernel {
  readonly open = new Set<bigint>();
  readonly waits: { readonly handles: bigint[]; end(result: number): void }[] = [];
  /** Handles that SetEvent was called with. */
  readonly set: bigint[] = [];
  /** After how many CreateEventW give no more. */
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
      SetEvent: (handle: bigint) => this.set.push(handle),
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

test("one thread waits for all events, and looks again when another is added", async () => {
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

test("a thread waits for no more than the system lets it: the next event has another", async () => {
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

test("an event that is closed without a wait takes its thread with it", () => {
  const kernel = new FakeKernel();
  const events = new Events(kernel.library);
  events.open().close();
  events.open().close();
  assertEquals([kernel.waits.length, kernel.open.size, liveHandles()], [0, 0, {}]);
});

for (const most of [0, 1]) {
  test(`where the system gives only ${most} of the two events it takes, opening fails and leaves none`, () => {
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

test("where the system cannot wait, everybody who waits is told, and the events stay", async () => {
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
