/**
 * The web streams of a connection, and the queue of its writes.
 *
 * @module
 */

/** The source of a readable stream. */
export interface Source {
  /** The next bytes, which the stream may keep; `null` at the end. */
  next(): Promise<Uint8Array<ArrayBuffer> | null>;
  /** Called when the reader has cancelled, or the end was reached. */
  ended(): void;
}

/** The destination of a writable stream. */
export interface Sink {
  /** Writes all of a chunk. */
  write(chunk: Uint8Array): Promise<void>;
  /** Called when nothing more will be written. */
  close(): Promise<void>;
  /** Called when the writer has aborted. */
  abort(reason: unknown): void;
}

/** A writable stream that can be made to fail while it is idle. */
export interface FailableWritable {
  /** The stream. */
  readonly stream: WritableStream<Uint8Array>;
  /** Makes the stream fail. */
  fail(reason: unknown): void;
}

/** Returns a stream that reads from its source only when it is read. */
export function readableFrom(source: Source): ReadableStream<Uint8Array<ArrayBuffer>> {
  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    async pull(controller) {
      const chunk = await source.next();
      if (chunk) return controller.enqueue(chunk);
      controller.close();
      source.ended();
    },
    cancel: () => source.ended(),
  }, { highWaterMark: 0 });
}

/** Returns a stream that writes one chunk at a time. */
export function writableTo(sink: Sink): FailableWritable {
  let controller: WritableStreamDefaultController | undefined;
  const stream = new WritableStream<Uint8Array>({
    start: (own) => {
      controller = own;
    },
    write: (chunk) => sink.write(chunk),
    close: () => sink.close(),
    abort: (reason) => sink.abort(reason),
  });
  return { stream, fail: (reason) => controller?.error(reason) };
}

interface Job {
  /** Bytes to send, or something else to run in its turn. */
  readonly what: Uint8Array | (() => Promise<void>);
  resolve(): void;
  reject(error: unknown): void;
}

/** Where the writes of a queue go, and who learns of the first failure. */
export interface WriteTarget {
  /** Sends the bytes of all parts, in order. */
  send(parts: readonly Uint8Array[]): Promise<void>;
  /** Called with the first failure; it must call {@linkcode WriteQueue.stop}. */
  onFailure(error: unknown): void;
}

/** Writes that wait are sent together up to this many bytes: about a record. */
const MOST_TOGETHER = 0xf000;
/** And up to this many: they become arguments of one call, which cannot have any number. */
const MOST_PARTS = 4096;

/**
 * Runs writes in order and stops at the first failure. What is written while a write is under way is sent with the
 * next one; nothing waits for more to come.
 */
export class WriteQueue {
  readonly #jobs: Job[] = [];
  readonly #target: WriteTarget;
  #stopped: { readonly error: unknown } | null = null;

  constructor(target: WriteTarget) {
    this.#target = target;
  }

  /** Whether a write is running or waiting. */
  get busy(): boolean {
    return this.#jobs.length > 0;
  }

  /** Sends bytes, or runs something, after all that was added before. */
  add(what: Job["what"]): Promise<void> {
    if (this.#stopped) return Promise.reject(this.#stopped.error);
    return new Promise((resolve, reject) => {
      this.#jobs.push({ what, resolve, reject });
      if (this.#jobs.length === 1) this.#drain();
    });
  }

  /** Rejects every write, including the running one, whose result is ignored. */
  stop(error: unknown): void {
    this.#stopped = { error };
    for (const job of this.#jobs.splice(0)) job.reject(error);
  }

  async #drain(): Promise<void> {
    while (this.#jobs.length > 0) {
      const [{ what }] = this.#jobs;
      const parts = this.#parts();
      try {
        await (typeof what === "function" ? what() : this.#target.send(parts));
      } catch (error) {
        return this.#target.onFailure(error);
      }
      if (this.#stopped) return;
      for (const job of this.#jobs.splice(0, Math.max(1, parts.length))) job.resolve();
    }
  }

  /** The bytes that are sent next. */
  #parts(): Uint8Array[] {
    const parts: Uint8Array[] = [];
    let sum = 0;
    for (const { what } of this.#jobs) {
      if (typeof what === "function" || parts.length === MOST_PARTS) break;
      if (parts.length > 0 && sum + what.length > MOST_TOGETHER) break;
      parts.push(what);
      sum += what.length;
    }
    return parts;
  }
}
