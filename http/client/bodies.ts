/**
 * Bodies: those of requests, kept where they can be sent twice, and those of answers, decoded.
 *
 * @module
 */

import type { IncomingMessage } from "node:http";
import { pipeline, type Readable, Transform } from "node:stream";
import {
  createBrotliDecompress,
  createGunzip,
  createInflate,
  createInflateRaw,
  type InflateRaw,
} from "node:zlib";
import { ProtocolError, TransportError } from "../../errors.ts";

/** The body of a request: bytes can be sent again, a stream cannot. */
export type Body = Uint8Array | ReadableStream<Uint8Array> | null;

/** What `Accept-Encoding` says if the caller does not set it. */
export const CODINGS = "gzip, deflate, br";
/** How much of an answer that nobody reads is read to keep the connection. */
const MAX_DISCARDED = 256 * 1024;
/** How much of a body waits for its reader. */
const HIGH_WATER = 64 * 1024;
/** The most codings of one answer, each of which costs memory before its first byte. */
const MAX_CODINGS = 5;

/** Keeps the body of `request`, unless `given` is a stream, or the body of another Request. */
export async function keepBody(request: Request, given: unknown): Promise<Body> {
  if (request.body === null) return null;
  const once = given === undefined || given instanceof ReadableStream ||
    typeof (given as { [Symbol.asyncIterator]?: unknown } | null)?.[Symbol.asyncIterator] === "function";
  return once ? request.body : new Uint8Array(await request.arrayBuffer());
}

/** Reads an answer that nobody wants to its end; `false` if that did not succeed. */
export async function discard(answer: IncomingMessage): Promise<boolean> {
  let size = 0;
  try {
    for await (const chunk of answer) {
      size += (chunk as Uint8Array).length;
      if (size > MAX_DISCARDED) return false;
    }
    return answer.complete;
  } catch {
    return false;
  }
}

/**
 * The body of an answer as a stream, decoded.
 *
 * @param ended is called once, when the body has been read, cancelled or aborted.
 * @throws ProtocolError if the answer has more codings than any server needs.
 */
export function bodyOf(
  answer: IncomingMessage,
  ended: () => void,
  signal: AbortSignal,
): { readonly stream: ReadableStream<Uint8Array>; readonly decoded: boolean } {
  const decoders = decodersFor(answer.headers["content-encoding"]);
  if (decoders.length === 0) return { stream: toStream(answer, ended, signal), decoded: false };
  const [last] = decoders.slice(-1);
  pipeline([answer, ...decoders], () => {});
  return { stream: toStream(last, ended, signal), decoded: true };
}

/** Decoders in the order in which they apply; none if a coding is unknown. */
function decodersFor(field: string | undefined): Transform[] {
  const codings = field?.split(",").map((coding) => coding.trim().toLowerCase()).reverse() ?? [];
  if (codings.length > MAX_CODINGS) {
    throw new ProtocolError(
      "oversized",
      `The answer has ${codings.length} content codings; the limit is ${MAX_CODINGS}. It is not decoded`,
    );
  }
  const decoders: Transform[] = [];
  for (const coding of codings) {
    if (coding === "gzip" || coding === "x-gzip") decoders.push(createGunzip());
    else if (coding === "deflate") decoders.push(new Inflate());
    else if (coding === "br") decoders.push(createBrotliDecompress());
    else if (coding !== "identity" && coding !== "") return [];
  }
  return decoders;
}

/** The coding `deflate`: the zlib format, and what some servers send in its place, deflate without its header. */
class Inflate extends Transform {
  #inner: InflateRaw | null = null;

  override _transform(chunk: Uint8Array, _encoding: string, done: (error?: Error | null) => void): void {
    if (this.#inner === null) {
      // The method of the zlib format (RFC 1950); it would be a block type that deflate does not have.
      this.#inner = (chunk[0] & 0x0f) === 8 ? createInflate() : createInflateRaw();
      const inner = this.#inner;
      // A few bytes may become many: no more are made than the reader takes.
      inner.on("data", (part) => this.push(part) || inner.pause()).on(
        "error",
        (error) => this.destroy(error),
      );
    }
    this.#inner.write(chunk, done);
  }

  override _read(size: number): void {
    this.#inner?.resume();
    super._read(size);
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#inner?.destroy();
    super._destroy(error, done);
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#inner === null) return done();
    this.#inner.once("end", () => done()).end();
  }
}

function toStream(source: Readable, ended: () => void, signal: AbortSignal): ReadableStream<Uint8Array> {
  let over = false;
  let stop = (): void => {};
  return new ReadableStream<Uint8Array>({
    start(controller) {
      const finish = (settle: () => void): void => {
        if (over) return;
        over = true;
        signal.removeEventListener("abort", abort);
        ended();
        settle();
      };
      const abort = (): void => finish(() => controller.error(signal.reason));
      stop = () => finish(() => {});
      signal.addEventListener("abort", abort);
      source.on("data", (chunk: Uint8Array) => {
        if (over) return;
        controller.enqueue(new Uint8Array(chunk));
        if (controller.desiredSize! <= 0) source.pause();
      });
      source.on("end", () => finish(() => controller.close()));
      const cut = (cause?: unknown): void => finish(() => controller.error(truncated(cause)));
      source.on("error", cut).on("close", () => cut());
    },
    pull() {
      source.resume();
    },
    cancel() {
      stop();
    },
  }, new ByteLengthQueuingStrategy({ highWaterMark: HIGH_WATER }));
}

function truncated(cause: unknown): TransportError {
  const { code, message } = (cause ?? {}) as { code?: string; message?: string };
  return new TransportError(
    code ?? "truncated",
    `The body of the answer ended early or cannot be decoded: ${message ?? "the connection was closed"}`,
    { cause },
  );
}
