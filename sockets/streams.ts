/**
 * The web streams of a connection, over its calls.
 *
 * @module
 */

/** What a readable stream takes its bytes from. */
export interface Source {
  /** The next bytes, the stream's to keep; `null` at the end. */
  next(): Promise<Uint8Array<ArrayBuffer> | null>;
  /** Nobody reads any more, or the end was reached. */
  ended(): void;
}

/** What a writable stream gives its bytes to. */
export interface Sink {
  /** Writes all of a chunk. */
  write(chunk: Uint8Array): Promise<void>;
  /** Nothing more will be written. */
  close(): Promise<void>;
  /** What is written no longer matters. */
  abort(reason: unknown): void;
}

/** A writable stream, and the way to make it fail while it is idle. */
export interface FailableWritable {
  /** The stream. */
  readonly stream: WritableStream<Uint8Array>;
  /** Makes the stream fail. */
  fail(reason: unknown): void;
}

/** A stream that asks its source only when it is asked itself. */
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

/** A stream that takes one chunk at a time. */
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
