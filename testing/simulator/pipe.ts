/**
 * One direction of a simulated connection: bytes in order, receivers that wait for bytes, senders that wait for
 * room.
 *
 * @module
 */

import { type Request, STATUS } from "./machine.ts";

/** How many bytes may be queued before a send waits. */
const ROOM = 256 * 1024;

interface Reader {
  readonly request: Request;
  /** The destination of the bytes, looked up when they arrive. */
  into(): Uint8Array;
}

interface Writer {
  readonly request: Request;
  readonly data: Uint8Array;
}

/** The NTSTATUS of pending operations on a broken pipe, for each of its ends. */
interface Breakage {
  readonly reader: number;
  readonly writer: number;
}

/** Bytes from one socket to another. */
export class Pipe {
  readonly #chunks: Uint8Array[] = [];
  readonly #readers: Reader[] = [];
  readonly #writers: Writer[] = [];
  readonly #onBytes: (count: number) => void;
  #size = 0;
  #ended = false;
  #broken: Breakage | null = null;

  /** @param onBytes Called with the number of bytes that go over the network. */
  constructor(onBytes: (count: number) => void) {
    this.#onBytes = onBytes;
  }

  /** Whether the connection was reset. */
  get broken(): boolean {
    return this.#broken !== null;
  }

  /** How many bytes have arrived and were not received yet. */
  get unread(): number {
    return this.#size;
  }

  /** Sends a copy of `data`. */
  write(data: Uint8Array, request: Request): void {
    if (this.#broken) return request.complete(this.#broken.writer, 0);
    this.#writers.push({ request, data: data.slice() });
    this.#move();
  }

  /** Receives into the buffer that `into` returns. */
  read(into: () => Uint8Array, request: Request): void {
    this.#readers.push({ into, request });
    this.#move();
  }

  /** Ends the sending; queued bytes can still be received. */
  end(): void {
    this.#ended = true;
    this.#move();
  }

  /** Breaks the pipe: the receiver has closed, or the connection was reset. The first status remains. */
  break({ reader, writer }: Partial<Breakage> = {}): void {
    const { CONNECTION_RESET } = STATUS;
    this.#broken ??= { reader: reader ?? CONNECTION_RESET, writer: writer ?? CONNECTION_RESET };
    this.#chunks.length = 0;
    this.#size = 0;
    this.#move();
  }

  #move(): void {
    this.#send();
    while (this.#readers.length > 0) {
      const { request, into } = this.#readers[0];
      if (request.done) {
        this.#readers.shift();
      } else if (this.#size > 0) {
        this.#readers.shift();
        request.complete(STATUS.SUCCESS, this.#fill(into()));
        this.#send();
      } else if (this.#broken || (this.#ended && this.#writers.length === 0)) {
        this.#readers.shift();
        request.complete(this.#broken?.reader ?? STATUS.SUCCESS, 0);
      } else {
        return;
      }
    }
  }

  #send(): void {
    while (this.#writers.length > 0 && (this.#broken || this.#size < ROOM)) {
      const { request, data } = this.#writers.shift()!;
      if (request.done) continue;
      if (this.#broken) {
        request.complete(this.#broken.writer, 0);
        continue;
      }
      if (data.length > 0) this.#chunks.push(data);
      this.#size += data.length;
      this.#onBytes(data.length);
      request.complete(STATUS.SUCCESS, data.length);
    }
  }

  #fill(into: Uint8Array): number {
    let at = 0;
    while (at < into.length && this.#chunks.length > 0) {
      const chunk = this.#chunks[0];
      const part = chunk.subarray(0, into.length - at);
      into.set(part, at);
      at += part.length;
      if (part.length === chunk.length) this.#chunks.shift();
      else this.#chunks[0] = chunk.subarray(part.length);
    }
    this.#size -= at;
    return at;
  }
}
