/**
 * The completion port with a simulated system: which operations end immediately, which wait, and when memory is
 * released.
 */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { test } from "@test";
import { StateError, TransportError } from "../../../errors.ts";
import {
  BLOCK,
  type Block,
  CompletionPort,
  type Kept,
  LOST_ERROR,
} from "../../../ffi/winsock/completion_port.ts";
import { liveHandles } from "../../../ffi/handles.ts";
import { ERROR_IO_PENDING, OVERLAPPED, OVERLAPPED_ENTRY } from "../../../ffi/raw/kernel32.ts";

interface Packet {
  readonly overlapped: bigint;
  readonly bytes: number;
}

/** A kernel with one port. */
class Kernel {
  /** Completions that were not fetched yet. */
  readonly packets: Packet[] = [];
  /** What was called, in order: `fetch` on this thread, `wait` on another, `post`. */
  readonly calls: string[] = [];
  /** Whether waiting fails. */
  broken = false;
  #wake: (() => void) | null = null;

  post(packet: Packet): void {
    this.packets.push(packet);
    this.#wake?.();
  }

  #give(entries: Uint8Array, removed: Uint8Array): number {
    const taken = this.packets.splice(0);
    taken.forEach(({ overlapped, bytes }, index) => {
      const entry = { lpOverlapped: overlapped, dwNumberOfBytesTransferred: bytes };
      OVERLAPPED_ENTRY.write(new DataView(entries.buffer), entry, index * OVERLAPPED_ENTRY.size);
    });
    new DataView(removed.buffer).setUint32(0, taken.length, true);
    return taken.length > 0 ? 1 : 0;
  }

  readonly #fetch = (_port: bigint, entries: Uint8Array, _count: number, removed: Uint8Array): number => {
    this.calls.push("fetch");
    return this.#give(entries, removed);
  };

  readonly #wait = async (_port: bigint, entries: Uint8Array, _count: number, removed: Uint8Array) => {
    this.calls.push("wait");
    if (this.broken) return 0;
    // Another thread: its result arrives with a turn of the event loop.
    await new Promise((resolve) => setTimeout(resolve, 0));
    while (this.packets.length === 0) await new Promise<void>((resolve) => this.#wake = resolve);
    return this.#give(entries, removed);
  };

  port(): CompletionPort {
    const call = {
      CreateIoCompletionPort: () => 1n,
      GetLastError: () => 5,
      CloseHandle: () => 1,
      CancelIoEx: () => 1,
      SetFileCompletionNotificationModes: () => 1,
      GetQueuedCompletionStatusEx: this.#fetch,
      PostQueuedCompletionStatus: (_port: bigint, bytes: number, _key: bigint, overlapped: bigint) => {
        this.calls.push("post");
        this.post({ overlapped, bytes });
        return 1;
      },
    };
    let next = 0x1000n;
    const memory = { addressOf: (bytes: Uint8Array) => (next += BigInt(bytes.length), next) };
    return new CompletionPort(
      {
        kernel: { call, threaded: { GetQueuedCompletionStatusEx: this.#wait } },
        ntdll: { call: { RtlNtStatusToDosError: (status: number) => status + 1 } },
        memory,
      } as unknown as ConstructorParameters<typeof CompletionPort>[0],
    );
  }
}

/** Memory that records whether it was released. */
function kept(): Kept & { released: number } {
  return {
    bytes: new Uint8Array(1),
    released: 0,
    release() {
      this.released++;
    },
  };
}

/** Operations that tests have abandoned, counted as open. */
let heldForGood = 0;

const read = ({ code, bytes }: { code: number; bytes: number }) => ({ code, bytes });
const refused = (code: number) => new Error(`refused with ${code}`);

/** An operation that ends before its call has returned, with `count` bytes transferred. */
function atOnce(count: number, keep: Kept, direct = true) {
  const begin = ({ view }: Block) => {
    view.setUint32(BLOCK.bytes, count, true);
    return 0;
  };
  return { begin, direct, refused, read, keep };
}

test("run() does not use the port for an operation that succeeds immediately", async () => {
  const kernel = new Kernel();
  const port = kernel.port();
  const keep = kept();
  assertEquals(await port.run(atOnce(42, keep)), { code: 0, bytes: 42 });
  assertEquals([kernel.calls, keep.released, port.pending], [[], 1, 0]);
  port.close();
});

test("run() waits for the completion where the handle still sends it, however soon the operation ended", async () => {
  const kernel = new Kernel();
  const port = kernel.port();
  const keep = kept();
  let block: Block | null = null;
  const running = port.run({ ...atOnce(42, keep, false), onStarted: (started) => void (block = started) });
  assertEquals([keep.released, port.pending], [0, 1]);
  kernel.post({ overlapped: block!.address, bytes: 7 });
  assertEquals(await running, { code: 0, bytes: 7 });
  assertEquals([keep.released, port.pending], [1, 0]);
  port.close();
});

test("run() lets timers run, however many operations succeed immediately", async () => {
  const kernel = new Kernel();
  const port = kernel.port();
  let fired = false;
  setTimeout(() => fired = true, 0);
  let count = 0;
  while (!fired && count < 10_000) {
    assertEquals(await port.run(atOnce(++count, kept())), { code: 0, bytes: count });
  }
  assertEquals(fired, true, `no turn in ${count} operations`);
  assertEquals(kernel.calls.filter((call) => call !== "fetch").slice(0, 2), ["post", "wait"]);
  port.close();
});

test("run() releases memory when the system no longer uses it, and not before", async () => {
  const kernel = new Kernel();
  const port = kernel.port();
  const keep = kept();
  let block: Block | null = null;
  const running = port.run({
    begin: () => ERROR_IO_PENDING,
    direct: true,
    refused,
    read,
    keep,
    onStarted: (started) => void (block = started),
  });
  await new Promise((resolve) => setTimeout(resolve, 5));
  assertEquals(keep.released, 0);
  OVERLAPPED.write(block!.view, { Internal: 99n }, BLOCK.overlapped);
  kernel.post({ overlapped: block!.address, bytes: 0 });
  assertEquals(await running, { code: 100, bytes: 0 });
  assertEquals(keep.released, 1);
  port.close();
});

test("run() releases the memory of a refused call, or of one that was not made, immediately", async () => {
  const port = new Kernel().port();
  const keep = kept();
  const begin = () => 10054;
  await assertRejects(() => port.run({ begin, direct: true, refused, read, keep }), Error, "10054");
  assertEquals(keep.released, 1);
  port.close();
  await assertRejects(() => port.run(atOnce(1, keep)), StateError, "closed");
  assertEquals(keep.released, 2);
});

test("run() keeps the memory of an operation that may have begun until its completion arrives", async () => {
  // Another call may have overwritten ERROR_IO_PENDING with any code.
  for (const code of [LOST_ERROR, 487, 2]) await keepsWhatMayHaveBegun(code);
});

async function keepsWhatMayHaveBegun(code: number): Promise<void> {
  const kernel = new Kernel();
  const port = kernel.port();
  const [lost, next] = [kept(), kept()];
  const blocks: Block[] = [];
  const begin = (code: number) => (block: Block) => {
    blocks.push(block);
    return code;
  };
  const doubtful = { begin: begin(code), direct: true, refused, read, keep: lost };
  await assertRejects(() => port.run(doubtful), Error, `refused with ${code}`);
  assertEquals([lost.released, port.pending], [0, 0]);
  const running = port.run({ ...doubtful, begin: begin(ERROR_IO_PENDING), keep: next });
  assertEquals(blocks[0].address !== blocks[1].address, true, "another operation got the memory");
  // It has begun, and ends before the next one.
  kernel.post({ overlapped: blocks[0].address, bytes: 3 });
  await new Promise((resolve) => setTimeout(resolve, 5));
  assertEquals([lost.released, next.released, port.pending], [1, 0, 1]);
  kernel.post({ overlapped: blocks[1].address, bytes: 4 });
  assertEquals(await running, { code: 0, bytes: 4 });
  assertEquals([lost.released, next.released, liveHandles()["operation"] ?? 0], [1, 1, heldForGood]);
  port.close();
}

test("close() succeeds although an operation may have begun, and keeps its memory", async () => {
  const port = new Kernel().port();
  const keep = kept();
  const begin = () => LOST_ERROR;
  await assertRejects(() => port.run({ begin, direct: false, refused, read, keep }), Error, "10107");
  port.close();
  heldForGood++;
  assertEquals([keep.released, liveHandles()["operation"]], [0, heldForGood]);
});

test("run() never releases memory that the system may still write to, where the port fails", async () => {
  const kernel = new Kernel();
  kernel.broken = true;
  const port = kernel.port();
  const keep = kept();
  const running = port.run({ begin: () => ERROR_IO_PENDING, direct: true, refused, read, keep });
  await assertRejects(() => running, TransportError, "GetQueuedCompletionStatusEx");
  assertEquals([keep.released, port.pending], [0, 1]);
  assertThrows(() => port.close(), StateError, "pending");
  // Kept permanently, and counted.
  const held = liveHandles();
  heldForGood++;
  assertEquals([held["operation"], held["completion port"]], [heldForGood, 1]);
});
