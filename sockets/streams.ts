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
  run(): Promise<void>;
  resolve(): void;
  reject(error: unknown): void;
}

/** Runs writes in order and stops at the first failure. */
export class WriteQueue {
  readonly #jobs: Job[] = [];
  readonly #onFailure: (error: unknown) => void;
  #stopped: { readonly error: unknown } | null = null;

  /** @param onFailure Called with the first failure; it must call {@linkcode WriteQueue.stop}. */
  constructor(onFailure: (error: unknown) => void) {
    this.#onFailure = onFailure;
  }

  /** Whether a write is running or waiting. */
  get busy(): boolean {
    return this.#jobs.length > 0;
  }

  /** Runs `run` after all writes that were added before it. */
  add(run: () => Promise<void>): Promise<void> {
    if (this.#stopped) return Promise.reject(this.#stopped.error);
    return new Promise((resolve, reject) => {
      this.#jobs.push({ run, resolve, reject });
      if (this.#jobs.length === 1) this.#drain();
    });
  }

  /** Rejects every write, including the running one, whose result is ignored. */
  stop(error: unknown): void {
    this.#stopped = { error };
    for (const job of this.#jobs.splice(0)) job.reject(error);
  }

  async #drain(): Promise<void> {
    for (let job = this.#jobs[0]; job; job = this.#jobs[0]) {
      try {
        await job.run();
      } catch (error) {
        return this.#onFailure(error);
      }
      if (this.#stopped) return;
      this.#jobs.shift();
      job.resolve();
    }
  }
}
