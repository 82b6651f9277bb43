/**
 * The byte streams that a secured connection can use, described by their shape.
 *
 * @module
 */

import type { NetAddress } from "../ffi/transport/mod.ts";

export type { NetAddress } from "../ffi/transport/mod.ts";

/** A byte stream like `Deno.Conn`. Prefer it to a pair of streams: it is cheaper and can close one direction. */
export interface ByteTransport {
  /**
   * Reads up to `p.length` bytes into `p` and returns their number; `null` at the end. It is not called again
   * before it has settled.
   *
   * It must write no more of `p` than the number it returns; bytes beyond that are not overwritten before they are
   * used again. Once it has settled it must not use `p`, which is reused for other bytes, also of other
   * connections.
   */
  read(p: Uint8Array): Promise<number | null>;
  /**
   * Writes from the start of `p` and returns how many bytes it took; it is called again with the rest.
   *
   * Once it has settled it must not use `p`, which is reused for other bytes, also of other connections.
   */
  write(p: Uint8Array): Promise<number>;
  /** Sends the end of the stream while reading continues; left out if the transport cannot do that. */
  closeWrite?(): Promise<void>;
  /** Closes both directions; called once. It should reject pending calls. */
  close(): void | Promise<void>;
}

/** The methods of a stream's reader that are used. */
export interface StreamReader {
  /** The next bytes. */
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
  /** Cancels the rest of the stream. */
  cancel(reason?: unknown): Promise<void>;
  /** Releases the stream's lock. */
  releaseLock(): void;
}

/** The methods of a stream's writer that are used. */
export interface StreamWriter {
  /** Writes one chunk, which the stream may keep. */
  write(chunk: Uint8Array): Promise<void>;
  /** Ends the stream after all pending writes. */
  close(): Promise<void>;
  /** Ends the stream at once. */
  abort(reason?: unknown): Promise<void>;
}

/**
 * A pair of web streams.
 *
 * Every record is copied once more than with a {@linkcode ByteTransport}. Closing one direction closes `writable`;
 * whether `readable` stays open depends on the pair.
 */
export interface StreamTransport {
  /** The bytes from the peer. */
  readonly readable: { getReader(): StreamReader };
  /** The bytes to the peer. */
  readonly writable: { getWriter(): StreamWriter };
}

/** A byte stream of either kind. If a value is both, `read` and `write` are used. */
export type Transport = ByteTransport | StreamTransport;

/** A transport, as the rest of the library uses it. */
export interface Wire {
  /** Reads at least one byte; `null` at the end. */
  read(p: Uint8Array): Promise<number | null>;
  /** Writes all of `p`, which may be reused once this has settled. */
  write(p: Uint8Array): Promise<void>;
  /** Sends the end of the stream; `null` if the transport cannot do that. */
  readonly closeWrite: (() => Promise<void>) | null;
  /** Closes both directions, once. Every call returns the same promise, which never rejects. */
  close(): Promise<void>;
  /** The local address; `null` if the transport does not report one. */
  readonly localAddr: NetAddress | null;
  /** The peer's address; `null` if the transport does not report one. */
  readonly remoteAddr: NetAddress | null;
}

/** How often in a row a transport may move no byte before it is considered broken. */
const MAX_EMPTY_TURNS = 64;

/**
 * Takes ownership of a transport.
 *
 * @throws TypeError if it has neither shape, or its streams are locked; it was not used.
 */
export function openWire(transport: Transport): Wire {
  const bytes = transport as Partial<ByteTransport> | null | undefined;
  if (
    typeof bytes?.read === "function" && typeof bytes.write === "function" &&
    typeof bytes.close === "function"
  ) {
    return wireOver(transport as ByteTransport, transport);
  }
  const streams = transport as Partial<StreamTransport> | null | undefined;
  if (
    typeof streams?.readable?.getReader === "function" && typeof streams.writable?.getWriter === "function"
  ) {
    return wireOver(new StreamPair(streams as StreamTransport), transport);
  }
  throw new TypeError(
    "transport must have read(), write() and close(), or a readable and a writable web stream; " +
      "convert a Node stream with Duplex.toWeb(stream)",
  );
}

function wireOver(bytes: ByteTransport, original: Transport): Wire {
  let closing: Promise<void> | null = null;
  const move = async (kind: "read" | "write", p: Uint8Array): Promise<number | null> => {
    for (let turn = 0; turn < MAX_EMPTY_TURNS; turn++) {
      const moved = await bytes[kind](p);
      if (moved === null && kind === "read") return null;
      if (!Number.isInteger(moved) || moved! < 0 || moved! > p.length) {
        throw new TypeError(
          `transport.${kind} must return the number of bytes it moved, not ${String(moved)}`,
        );
      }
      if (moved! > 0) return moved;
    }
    throw new TypeError(`transport.${kind} moved no byte ${MAX_EMPTY_TURNS} times in a row`);
  };
  const { localAddr, remoteAddr } = original as { localAddr?: unknown; remoteAddr?: unknown };
  return {
    localAddr: toAddress(localAddr),
    remoteAddr: toAddress(remoteAddr),
    read: (p) => move("read", p),
    async write(p) {
      for (let rest = p; rest.length > 0;) rest = rest.subarray((await move("write", rest))!);
    },
    closeWrite: typeof bytes.closeWrite === "function" ? () => bytes.closeWrite!() : null,
    close: () => closing ??= quietly(() => bytes.close()),
  };
}

function toAddress(address: unknown): NetAddress | null {
  const { transport, hostname, port } = (address ?? {}) as Partial<NetAddress>;
  if (transport !== "tcp" || typeof hostname !== "string" || typeof port !== "number") return null;
  return Object.freeze({ transport, hostname, port });
}

/** Adapts a pair of web streams to the interface of `Deno.Conn`. */
class StreamPair implements ByteTransport {
  readonly #reader: StreamReader;
  readonly #writer: StreamWriter;
  #rest: Uint8Array = new Uint8Array();
  #writing = false;
  #writeEnded = false;

  constructor({ readable, writable }: StreamTransport) {
    this.#reader = readable.getReader();
    try {
      this.#writer = writable.getWriter();
    } catch (error) {
      this.#reader.releaseLock();
      throw error;
    }
  }

  async read(p: Uint8Array): Promise<number | null> {
    if (this.#rest.length === 0) {
      const { done, value } = await this.#reader.read();
      if (done) return null;
      if (!(value instanceof Uint8Array)) {
        throw new TypeError("transport.readable must return Uint8Array chunks");
      }
      this.#rest = value;
    }
    const part = this.#rest.subarray(0, p.length);
    p.set(part);
    this.#rest = this.#rest.subarray(part.length);
    return part.length;
  }

  async write(p: Uint8Array): Promise<number> {
    this.#writing = true;
    // A stream may keep a chunk after the write has settled, and a Buffer's slice() does not copy.
    await this.#writer.write(new Uint8Array(p));
    this.#writing = false;
    return p.length;
  }

  closeWrite(): Promise<void> {
    this.#writeEnded = true;
    return this.#writer.close();
  }

  async close(): Promise<void> {
    const ending = [this.#reader.cancel()];
    // An abort waits for a stuck write too; it must not keep the connection from closing.
    if (this.#writing) this.#writer.abort().catch(() => {});
    else if (!this.#writeEnded) ending.push(this.#writer.close());
    await Promise.allSettled(ending);
  }
}

/** Runs `close` and ignores its failure; it may throw or reject, whatever its type says. */
export async function quietly(close: () => unknown): Promise<void> {
  try {
    await close();
  } catch {
    // The failure that led here matters, not this one.
  }
}
