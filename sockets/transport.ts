/**
 * What a secured connection can run over: any byte stream, told by its shape.
 *
 * @module
 */

import type { NetAddress } from "../ffi/transport/mod.ts";

export type { NetAddress } from "../ffi/transport/mod.ts";

/** A byte stream in the manner of `Deno.Conn`; preferred, since it costs least and can close one direction. */
export interface ByteTransport {
  /**
   * Reads up to `p.length` bytes into `p`; `null` at the end. Never called again before it has settled.
   *
   * No more of `p` may be written to than it tells; the rest is not overwritten before it is used again. Once it has settled, `p` must not be touched: it is used again for other bytes, another connection's too.
   */
  read(p: Uint8Array): Promise<number | null>;
  /**
   * Writes from the start of `p` and tells how many bytes it took; called again with the rest.
   *
   * Once it has settled, `p` must not be touched: it is used again for other bytes, another connection's too.
   */
  write(p: Uint8Array): Promise<number>;
  /** Sends the end of the stream while reading goes on; left out where that cannot be done. */
  closeWrite?(): Promise<void>;
  /** Closes both directions; called once. Calls that wait should be rejected by it. */
  close(): void | Promise<void>;
}

/** The part of a stream's reader that is used. */
export interface StreamReader {
  /** The next bytes. */
  read(): Promise<{ readonly done: boolean; readonly value?: Uint8Array | undefined }>;
  /** Gives up the rest of the stream. */
  cancel(reason?: unknown): Promise<void>;
  /** Gives the stream back. */
  releaseLock(): void;
}

/** The part of a stream's writer that is used. */
export interface StreamWriter {
  /** Writes one chunk, which is the stream's to keep. */
  write(chunk: Uint8Array): Promise<void>;
  /** Ends the stream after all that was written. */
  close(): Promise<void>;
  /** Ends the stream at once. */
  abort(reason?: unknown): Promise<void>;
}

/**
 * A pair of web streams.
 *
 * Every record is copied once more than over a {@linkcode ByteTransport}. Half-closing closes `writable`; whether
 * `readable` survives that is the pair's affair.
 */
export interface StreamTransport {
  /** What arrives. */
  readonly readable: { getReader(): StreamReader };
  /** What leaves. */
  readonly writable: { getWriter(): StreamWriter };
}

/** A byte stream of either kind; where a value is both, `read` and `write` are used. */
export type Transport = ByteTransport | StreamTransport;

/** A transport as the rest of the library uses it. */
export interface Wire {
  /** Reads at least one byte; `null` at the end. */
  read(p: Uint8Array): Promise<number | null>;
  /** Writes all of `p`, which may be used again once this has settled. */
  write(p: Uint8Array): Promise<void>;
  /** Sends the end of the stream; `null` where that cannot be done. */
  readonly closeWrite: (() => Promise<void>) | null;
  /** Closes both directions, once; the promise is the same each time and never rejects. */
  close(): Promise<void>;
  /** This end, where the transport tells. */
  readonly localAddr: NetAddress | null;
  /** The peer, where the transport tells. */
  readonly remoteAddr: NetAddress | null;
}

/** How often in a row a transport may move no byte at all before it is taken to be broken. */
const MAX_EMPTY_TURNS = 64;

/**
 * Takes a transport over.
 *
 * @throws TypeError where it has neither shape, or its streams are locked; it is then untouched.
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
    "transport must have read(), write() and close(), or a readable and a writable web stream; a stream of Node " +
      "has them after Duplex.toWeb(stream)",
  );
}

function wireOver(bytes: ByteTransport, original: Transport): Wire {
  let closing: Promise<void> | null = null;
  const move = async (kind: "read" | "write", p: Uint8Array): Promise<number | null> => {
    for (let turn = 0; turn < MAX_EMPTY_TURNS; turn++) {
      const moved = await bytes[kind](p);
      if (moved === null && kind === "read") return null;
      if (!Number.isInteger(moved) || moved! < 0 || moved! > p.length) {
        throw new TypeError(`transport.${kind} must give the number of bytes it moved, not ${String(moved)}`);
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

/** Two web streams in the manner of a Deno.Conn. */
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
        throw new TypeError("transport.readable must give Uint8Array chunks");
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
    // A stream may hold on to a chunk after the write has settled; a Buffer's slice() would be no copy.
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
    // An abort, too, waits for the write that is stuck; it must not keep the connection from closing.
    if (this.#writing) this.#writer.abort().catch(() => {});
    else if (!this.#writeEnded) ending.push(this.#writer.close());
    await Promise.allSettled(ending);
  }
}

/** Runs `close`, which may throw or give a promise whatever its type says; that it fails changes nothing for anyone. */
export async function quietly(close: () => unknown): Promise<void> {
  try {
    await close();
  } catch {
    // What led here is what matters.
  }
}
