/**
 * Waits for many events of the system on one thread: each waiting call occupies a thread of the runtime's pool, which
 * is small on Node and is also used for the application's files and sockets.
 *
 * @module
 */

import type { Library } from "../abi.ts";
import { poolSemaphore } from "../backends/thread_pool.ts";
import { track } from "../handles.ts";
import { pinned } from "../memory/memory.ts";
import {
  INFINITE,
  type KERNEL32,
  MAXIMUM_WAIT_OBJECTS,
  WAIT_OBJECT_0,
  WAIT_TIMEOUT,
} from "../raw/kernel32.ts";
import { socketError } from "../status.ts";

type Kernel = Library<typeof KERNEL32>;

/** The most events that one thread waits for: one of the handles is the event that wakes the thread. */
const MOST = MAXIMUM_WAIT_OBJECTS - 1;
/** The interval at which an event is polled whose thread could not be woken, in milliseconds. */
const LOOK_MS = 16;

/** A manual-reset event, initially not set. One owner. */
export interface SystemEvent {
  /** The system's handle, to pass to the function that sets the event. */
  readonly handle: bigint;
  /**
   * Resolves when the event is set; call it once. Rejects where the system cannot wait: the event may then still be
   * set at any time and must not be closed.
   */
  wait(): Promise<void>;
  /** Whether the event is certainly not set yet. A waiting caller may not have been notified yet. */
  isUnset(): boolean;
  /** Closes the event; it must not be waited for or set any more. */
  close(): void;
}

/** Creates events and waits for them. Uses one thread for every 63 events, and only while they are waited for. */
export class Events {
  readonly #kernel: Kernel;
  readonly #threads = new Set<WaitingThread>();

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
  }

  /** @throws TransportError where the event cannot be created. */
  open(): SystemEvent {
    const event = new Handle(this.#kernel, true);
    try {
      const thread = [...this.#threads].find(({ full }) => !full) ?? new WaitingThread(this.#kernel);
      this.#threads.add(thread);
      thread.enter();
      const close = (): void => {
        event.close();
        if (thread.leave()) this.#threads.delete(thread);
      };
      const isUnset = (): boolean => look(this.#kernel, event.value) === WAIT_TIMEOUT;
      return { handle: event.value, wait: () => thread.wait(event.value), isUnset, close };
    } catch (error) {
      event.close();
      throw error;
    }
  }
}

interface Waiting {
  readonly event: bigint;
  resolve(): void;
  reject(error: unknown): void;
}

/** One thread's events. */
class WaitingThread {
  readonly #kernel: Kernel;
  /** Set when there is a new event to wait for, or a call needs the thread. */
  readonly #wake: Handle;
  #waiting: Waiting[] = [];
  /** The waits whose events the thread waits for now. */
  #round: readonly Waiting[] = [];
  #taken = 0;
  #running = false;

  constructor(kernel: Kernel) {
    this.#kernel = kernel;
    this.#wake = new Handle(kernel, false);
  }

  get full(): boolean {
    return this.#taken >= MOST;
  }

  /** Reserves space for an event. */
  enter(): void {
    this.#taken++;
  }

  /** Releases the space of an event; returns true where it was the last, and this thread has ended. */
  leave(): boolean {
    if (--this.#taken > 0) return false;
    this.#wake.close();
    return true;
  }

  wait(event: bigint): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiting = { event, resolve, reject };
      this.#waiting.push(waiting);
      if (!this.#running) this.#run();
      else if (!this.#wakeUp()) this.#look(waiting);
    });
  }

  /** Makes the thread include new events; returns false where it still waits for the old ones only. */
  #wakeUp(): boolean {
    return this.#kernel.call.SetEvent(this.#wake.value) !== 0;
  }

  /**
   * Polls an event on the calling thread: the waiting thread could not be woken and may wait for other events for
   * ever. When it wakes for another reason, it includes this event.
   *
   * @see https://learn.microsoft.com/windows/win32/api/synchapi/nf-synchapi-setevent
   */
  async #look(waiting: Waiting): Promise<void> {
    let result: number;
    do {
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      // The thread waits for it now, or the wait has ended.
      if (this.#round.includes(waiting) || !this.#waiting.includes(waiting)) return;
      result = look(this.#kernel, waiting.event);
    } while (result === WAIT_TIMEOUT);
    this.#waiting = this.#waiting.filter((each) => each !== waiting);
    if (result === WAIT_OBJECT_0) return waiting.resolve();
    const code = this.#kernel.call.GetLastError();
    waiting.reject(socketError("WaitForMultipleObjects", code, "wait for the system"));
  }

  async #run(): Promise<void> {
    this.#running = true;
    try {
      while (this.#waiting.length > 0) await this.#wait();
    } catch (error) {
      for (const each of this.#waiting.splice(0)) each.reject(error);
    } finally {
      this.#running = false;
      this.#round = [];
    }
  }

  async #wait(): Promise<void> {
    const round = this.#round = [...this.#waiting];
    const handles = pinned((1 + round.length) * 8);
    const view = new DataView(handles.buffer);
    [this.#wake.value, ...round.map(({ event }) => event)].forEach((handle, index) =>
      view.setBigUint64(index * 8, handle, true)
    );
    const { call, threaded } = this.#kernel;
    const count = 1 + round.length;
    const result = await poolSemaphore().wait({
      block: () => threaded.WaitForMultipleObjects(count, handles, 0, INFINITE),
      wake: () => this.#wakeUp(),
      poll: () => {
        const now = call.WaitForMultipleObjects(count, handles, 0, 0);
        return now === WAIT_TIMEOUT ? null : now;
      },
    });
    const ended = result - WAIT_OBJECT_0;
    // The last error is another thread's.
    if (ended > round.length) throw socketError("WaitForMultipleObjects", 0, "wait for the system");
    if (ended === 0) return;
    const done = round[ended - 1];
    this.#waiting = this.#waiting.filter((each) => each !== done);
    done.resolve();
  }
}

/**
 * Returns WAIT_OBJECT_0 where an event is set, WAIT_TIMEOUT where it is not, or an error. Does not change the event.
 */
function look({ call }: Kernel, event: bigint): number {
  const handle = pinned(8);
  new DataView(handle.buffer).setBigUint64(0, event, true);
  return call.WaitForMultipleObjects(1, handle, 0, 0);
}

/** An event's handle. */
class Handle {
  readonly value: bigint;
  readonly #kernel: Kernel;
  readonly #untrack: () => void;

  constructor(kernel: Kernel, manualReset: boolean) {
    this.#kernel = kernel;
    this.value = kernel.call.CreateEventW(0n, manualReset ? 1 : 0, 0, null);
    if (this.value === 0n) throw socketError("CreateEventW", kernel.call.GetLastError(), "create an event");
    this.#untrack = track("event");
  }

  close(): void {
    this.#kernel.call.CloseHandle(this.value);
    this.#untrack();
  }
}
