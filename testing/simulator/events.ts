/**
 * kernel32.dll's events on a simulated host, and waits for them.
 *
 * @module
 */

import type { Calls } from "../../ffi/abi.ts";
import {
  INFINITE,
  type KERNEL32,
  MAXIMUM_WAIT_OBJECTS,
  WAIT_FAILED,
  WAIT_TIMEOUT,
} from "../../ffi/raw/kernel32.ts";
import type { KernelObject, Machine } from "./machine.ts";

const ERROR = { INVALID_HANDLE: 6, INVALID_PARAMETER: 87 } as const;

/** An event. */
export class SimulatedEvent implements KernelObject {
  readonly #manualReset: boolean;
  readonly #watchers = new Set<() => void>();
  #set = false;

  constructor(manualReset: boolean) {
    this.#manualReset = manualReset;
  }

  /** Sets the event and wakes those that wait for it. */
  set(): void {
    this.#set = true;
    for (const look of [...this.#watchers]) look();
  }

  /** Whether the event is set; resets it unless it has a manual reset. */
  take(): boolean {
    const was = this.#set;
    if (!this.#manualReset) this.#set = false;
    return was;
  }

  /** Calls `look` whenever the event is set, until the returned function is called. */
  watch(look: () => void): () => void {
    this.#watchers.add(look);
    return () => void this.#watchers.delete(look);
  }

  closed(): void {
    // The behaviour of such a wait is undefined, so no code may rely on it.
    if (this.#watchers.size > 0) throw new Error("simulator: an event was closed during a wait for it");
  }
}

type Functions = Pick<Calls<typeof KERNEL32>, "CreateEventW" | "SetEvent" | "WaitForMultipleObjects">;

/** The functions of a machine. */
export function eventCalls(machine: Machine): {
  readonly call: Functions;
  readonly threaded: {
    WaitForMultipleObjects: (...args: Parameters<Functions["WaitForMultipleObjects"]>) => Promise<number>;
  };
} {
  const failed = (code: number): number => machine.fail(code, WAIT_FAILED);
  const find = (count: number, handles: Uint8Array): SimulatedEvent[] | null => {
    const view = new DataView(handles.buffer, handles.byteOffset, handles.length);
    const found = Array.from(
      { length: count },
      (_, index) => machine.find(view.getBigUint64(index * 8, true), SimulatedEvent),
    );
    return found.includes(null) ? null : found as SimulatedEvent[];
  };
  /** The first event that is set, or the error; `null`: none is set. */
  const poll = (count: number, handles: Uint8Array | null, all: number): number | null => {
    if (count === 0 || count > MAXIMUM_WAIT_OBJECTS || handles === null || all !== 0) {
      return failed(ERROR.INVALID_PARAMETER);
    }
    const events = find(count, handles);
    if (events === null) return failed(ERROR.INVALID_HANDLE);
    const first = events.findIndex((event) => event.take());
    return first < 0 ? null : first;
  };
  return {
    call: {
      CreateEventW: (_attributes, manualReset, initial, _name) => {
        const event = new SimulatedEvent(manualReset !== 0);
        if (initial !== 0) event.set();
        return machine.open(event);
      },
      SetEvent(handle) {
        const event = machine.find(handle, SimulatedEvent);
        if (event === null) return machine.fail(ERROR.INVALID_HANDLE, 0);
        event.set();
        return 1;
      },
      WaitForMultipleObjects(count, handles, all, milliseconds) {
        const now = poll(count, handles, all);
        if (now === null && milliseconds === INFINITE) {
          throw new Error("simulator: this thread waits forever");
        }
        return now ?? WAIT_TIMEOUT;
      },
    },
    threaded: {
      WaitForMultipleObjects: (count, handles, all, _milliseconds) =>
        new Promise((resolve) => {
          let watched: (() => void)[] = [];
          const look = (): void => {
            const now = poll(count, handles, all);
            if (now === null) return;
            for (const end of watched) end();
            resolve(now);
          };
          const events = handles === null || count > MAXIMUM_WAIT_OBJECTS ? null : find(count, handles);
          watched = (events ?? []).map((event) => event.watch(look));
          look();
        }),
    },
  };
}
