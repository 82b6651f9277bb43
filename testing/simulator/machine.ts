/**
 * The kernel of one simulated computer: handles, the last error, completion ports.
 *
 * @module
 */

import type { Calls } from "../../ffi/abi.ts";
import {
  FILE_SKIP_COMPLETION_PORT_ON_SUCCESS,
  INVALID_HANDLE_VALUE,
  type KERNEL32,
  OVERLAPPED,
  OVERLAPPED_ENTRY,
} from "../../ffi/raw/kernel32.ts";
import type { NTDLL } from "../../ffi/raw/ntdll.ts";
import type { Faults } from "./faults.ts";
import { AddressSpace } from "./memory.ts";

/** NTSTATUS values and the Win32 codes that they map to. */
export const STATUS = {
  SUCCESS: 0,
  BUFFER_OVERFLOW: 0x8000_0005,
  CANCELLED: 0xc000_0120,
  CONNECTION_RESET: 0xc000_020d,
  CONNECTION_REFUSED: 0xc000_0236,
  HOST_UNREACHABLE: 0xc000_023d,
  PORT_UNREACHABLE: 0xc000_023f,
  CONNECTION_ABORTED: 0xc000_0241,
  IO_TIMEOUT: 0xc000_00b5,
} as const;

const DOS_ERRORS: { readonly [status: number]: number } = {
  [STATUS.SUCCESS]: 0,
  [STATUS.BUFFER_OVERFLOW]: 234,
  [STATUS.CANCELLED]: 995,
  [STATUS.CONNECTION_RESET]: 64,
  [STATUS.CONNECTION_REFUSED]: 1225,
  [STATUS.HOST_UNREACHABLE]: 1232,
  [STATUS.PORT_UNREACHABLE]: 1234,
  [STATUS.CONNECTION_ABORTED]: 1236,
  [STATUS.IO_TIMEOUT]: 121,
};

/** An object that a handle refers to. */
export interface KernelObject {
  /** Called when its handle is closed. */
  closed(): void;
}

/** A computer's kernel. */
export class Machine {
  readonly memory = new AddressSpace();
  readonly faults: Faults;
  /** The result of WSAGetLastError and GetLastError: there is one thread. */
  lastError = 0;
  readonly #handles = new Map<bigint, KernelObject>();
  #next = 0x100n;

  constructor(faults: Faults) {
    this.faults = faults;
  }

  /** The number of open handles. */
  get handles(): number {
    return this.#handles.size;
  }

  /** Opens a handle for an object: a new one, or one that was closed before. */
  open(object: KernelObject, closed?: bigint): bigint {
    const handle = closed ?? this.#next;
    if (closed === undefined) this.#next += 4n;
    this.#handles.set(handle, object);
    return handle;
  }

  /** The object of a handle, if it is of that kind. */
  find<T extends KernelObject>(handle: bigint, kind: new (...args: never[]) => T): T | null {
    const object = this.#handles.get(handle);
    return object instanceof kind ? object : null;
  }

  /** Closes a handle; false if it is invalid. */
  closeHandle(handle: bigint): boolean {
    const object = this.#handles.get(handle);
    if (object === undefined) return false;
    this.#handles.delete(handle);
    object.closed();
    return true;
  }

  /** Sets the last error and returns `result`. */
  fail<T>(code: number, result: T): T {
    this.lastError = code;
    return result;
  }
}

/** A pending overlapped operation. */
export class Request {
  /** True once it has completed; its memory is not used any more. */
  done = false;
  /** The address of its OVERLAPPED structure. */
  readonly overlapped: bigint;
  readonly #machine: Machine;
  readonly #port: () => Port | null;
  readonly #onDone: () => void;
  #answer = { status: 0, bytes: 0 };
  #calling = false;

  constructor(machine: Machine, overlapped: bigint, port: () => Port | null, onDone: () => void) {
    this.#machine = machine;
    this.overlapped = overlapped;
    this.#port = port;
    this.#onDone = onDone;
  }

  /** Completes it, once: fills its OVERLAPPED structure and notifies its port. */
  complete(status: number, bytes: number): void {
    if (this.done) return;
    this.done = true;
    OVERLAPPED.write(this.#machine.memory.view(this.overlapped, OVERLAPPED.size), {
      Internal: BigInt(status),
      InternalHigh: BigInt(bytes),
    });
    this.#answer = { status, bytes };
    this.#onDone();
    if (!this.#calling) this.#post();
  }

  #post(): void {
    this.#port()?.post({ overlapped: this.overlapped, bytes: this.#answer.bytes });
  }

  /**
   * Runs the call that begins it.
   *
   * @param skip Whether the port is not notified if the call completes the operation successfully.
   * @returns The bytes moved if the call completed it successfully; `null` if the port has been or will be
   * notified.
   */
  during(call: () => void, skip: boolean): number | null {
    this.#calling = true;
    call();
    this.#calling = false;
    if (!this.done) return null;
    const { status, bytes } = this.#answer;
    if (!skip || status !== STATUS.SUCCESS) this.#post();
    return status === STATUS.SUCCESS ? bytes : null;
  }
}

interface Packet {
  readonly overlapped: bigint;
  readonly bytes: number;
}

interface PortWaiter {
  readonly most: number;
  take(packets: Packet[]): void;
}

/** A completion port. */
export class Port implements KernelObject {
  readonly #packets: Packet[] = [];
  readonly #waiters: PortWaiter[] = [];

  closed(): void {}

  /** Adds a completion and wakes a waiter. */
  post(packet: Packet): void {
    this.#packets.push(packet);
    const waiter = this.#waiters.shift();
    if (waiter) waiter.take(this.#packets.splice(0, waiter.most));
  }

  /** Takes up to `most` completions. */
  take(most: number): Packet[] {
    return this.#packets.splice(0, most);
  }

  /** Waits for at least one completion. */
  wait(most: number): Promise<Packet[]> {
    if (this.#packets.length > 0) return Promise.resolve(this.take(most));
    return new Promise((take) => this.#waiters.push({ most, take }));
  }
}

/** An object whose operations complete on a port. */
export interface Associable {
  /** The port, once associated. */
  port: Port | null;
  /** Whether the port is not notified of operations that complete at once and successfully. */
  skipsAtOnce: boolean;
}

/** kernel32.dll and ntdll.dll of a machine. */
export function kernelCalls(machine: Machine, hooks: {
  /** The object of a handle that can be associated with a port. */
  readonly associable: (handle: bigint) => Associable | null;
  /** Cancels the operations of a handle: one, or all with 0. */
  readonly cancel: (handle: bigint, overlapped: bigint) => boolean;
}): {
  readonly call:
    & Omit<Calls<typeof KERNEL32>, "CreateEventW" | "SetEvent" | "WaitForMultipleObjects">
    & Calls<typeof NTDLL>;
  readonly threaded: { GetQueuedCompletionStatusEx: (...args: FetchArguments) => Promise<number> };
} {
  const INVALID_HANDLE = 6;
  const fill = (packets: Packet[], entries: Uint8Array, removed: Uint8Array): number => {
    const view = new DataView(entries.buffer, entries.byteOffset, entries.length);
    packets.forEach(({ overlapped, bytes }, index) => {
      // A posted packet need not belong to an operation.
      const status = overlapped === 0n
        ? 0n
        : machine.memory.view(overlapped, OVERLAPPED.size).getBigUint64(0, true);
      const values = { lpOverlapped: overlapped, Internal: status, dwNumberOfBytesTransferred: bytes };
      OVERLAPPED_ENTRY.write(view, values, index * OVERLAPPED_ENTRY.size);
    });
    new DataView(removed.buffer, removed.byteOffset).setUint32(0, packets.length, true);
    return 1;
  };
  const WAIT_TIMEOUT = 258;
  return {
    call: {
      GetLastError: () => machine.lastError,
      CloseHandle: (handle) => machine.closeHandle(handle) ? 1 : machine.fail(INVALID_HANDLE, 0),
      TerminateProcess: () => {
        throw new Error("simulator: the process was ended");
      },
      CreateIoCompletionPort(file, existing) {
        if (file === INVALID_HANDLE_VALUE) return machine.open(new Port());
        const port = machine.find(existing, Port);
        const object = hooks.associable(file);
        if (port === null || object === null) return machine.fail(INVALID_HANDLE, 0n);
        object.port = port;
        return existing;
      },
      GetQueuedCompletionStatusEx(handle, entries, count, removed) {
        const packets = machine.find(handle, Port)?.take(count) ?? [];
        if (packets.length === 0) return machine.fail(WAIT_TIMEOUT, 0);
        return fill(packets, entries!, removed!);
      },
      PostQueuedCompletionStatus(handle, bytes, _key, overlapped) {
        const port = machine.find(handle, Port);
        if (port === null) return machine.fail(INVALID_HANDLE, 0);
        port.post({ overlapped, bytes });
        return 1;
      },
      SetFileCompletionNotificationModes(file, flags) {
        const object = hooks.associable(file);
        if (object === null) return machine.fail(INVALID_HANDLE, 0);
        object.skipsAtOnce ||= (flags & FILE_SKIP_COMPLETION_PORT_ON_SUCCESS) !== 0;
        return 1;
      },
      CancelIoEx: (handle, overlapped) => hooks.cancel(handle, overlapped) ? 1 : machine.fail(1168, 0),
      RtlNtStatusToDosError: (status) => DOS_ERRORS[status] ?? 317,
    },
    threaded: {
      async GetQueuedCompletionStatusEx(handle, entries, count, removed) {
        const port = machine.find(handle, Port);
        if (port === null) return machine.fail(INVALID_HANDLE, 0);
        return fill(await port.wait(count), entries!, removed!);
      },
    },
  };
}

type FetchArguments = Parameters<Calls<typeof KERNEL32>["GetQueuedCompletionStatusEx"]>;
