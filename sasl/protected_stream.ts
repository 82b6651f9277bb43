/**
 * A stream whose every byte travels in a wrapped record: RFC 4422's framing over a connection.
 *
 * @module
 */

import { Duplex } from "node:stream";
import type { SecurityContext } from "../contract.ts";
import { FrameReader } from "./frames.ts";
import type { SecurityLayer } from "./layers.ts";

const LENGTH = 4;

/** What a stream is protected by. */
export interface Protection {
  /** Wraps and unwraps; closed with the stream. */
  readonly context: SecurityContext;
  /** Signed or encrypted. */
  readonly layer: Exclude<SecurityLayer, "none">;
  /** The most bytes of data in one record. */
  readonly maxSend: number;
  /** The longest record to take. */
  readonly maxReceive: number;
}

/** What sockets have and Duplexes need not; libraries call it on what they are given. */
interface SocketLike {
  setTimeout?(ms: number): unknown;
  setKeepAlive?(on?: boolean, delay?: number): unknown;
  setNoDelay?(on?: boolean): unknown;
  ref?(): unknown;
  unref?(): unknown;
  readonly remoteAddress?: string;
  readonly remotePort?: number;
}

/**
 * The clear side of a protected connection. Holds at most one record that has not arrived whole, and one chunk.
 *
 * A record that was changed, repeated, cut short or is too long destroys it, and the connection with it.
 */
export class ProtectedStream extends Duplex {
  readonly #socket: Duplex & SocketLike;
  readonly #protection: Protection;
  readonly #frames: FrameReader;
  #ended = false;

  /** The socket and the context become its own. */
  constructor(socket: Duplex, protection: Protection) {
    super({ allowHalfOpen: socket.allowHalfOpen });
    this.#socket = socket;
    // What is still to be read, and answered, is in this stream: it decides when the connection ends.
    socket.allowHalfOpen = true;
    this.#protection = protection;
    this.#frames = new FrameReader(protection.maxReceive);
    socket.on("data", this.#onData);
    socket.on("end", this.#onEnd);
    socket.on("error", (error: Error) => this.destroy(error));
    socket.on("close", this.#onClose);
    socket.on("timeout", () => this.emit("timeout"));
    // It goes on when somebody reads.
    socket.pause();
  }

  #onData = (chunk: Uint8Array): void => {
    if (this.destroyed) return;
    try {
      let wanted = true;
      for (const record of this.#frames.push(chunk)) {
        const { layer, context } = this.#protection;
        const { data } = context.unwrap(record, { allowUnencrypted: layer === "integrity" });
        if (data.length > 0) wanted = this.push(data);
      }
      if (!wanted) this.#socket.pause();
    } catch (error) {
      this.destroy(error as Error);
    }
  };

  #onEnd = (): void => {
    this.#ended = true;
    const error = this.#frames.cutShort();
    if (error) this.destroy(error);
    else this.push(null);
  };

  #onClose = (): void => {
    // What has arrived is still to be read, as of any stream that has ended.
    if (this.#ended) this.end();
    else this.destroy(this.#frames.cutShort() ?? undefined);
  };

  /** Of Duplex. */
  override _read(): void {
    this.#socket.resume();
  }

  /** Of Duplex. */
  override _write(chunk: Uint8Array, _encoding: string, callback: (error?: Error | null) => void): void {
    const { maxSend } = this.#protection;
    const send = (at: number, error?: Error | null): void => {
      if (error || at >= chunk.length) return callback(error);
      let frame: Uint8Array;
      try {
        frame = this.#frame(chunk.subarray(at, at + maxSend));
      } catch (failure) {
        return callback(failure as Error);
      }
      // One record at a time: the next is made when the system has taken this one.
      this.#socket.write(frame, (failed) => send(at + maxSend, failed));
    };
    send(0);
  }

  #frame(data: Uint8Array): Uint8Array {
    const { context, layer } = this.#protection;
    const frame = new Uint8Array(LENGTH + data.length + context.maxOverhead);
    const record = context.wrap(data, { encrypt: layer === "confidentiality", into: frame.subarray(LENGTH) });
    new DataView(frame.buffer).setUint32(record.byteOffset - LENGTH, record.length);
    return frame.subarray(record.byteOffset - LENGTH, record.byteOffset + record.length);
  }

  /** Of Duplex. */
  override _final(callback: (error?: Error | null) => void): void {
    if (this.#socket.destroyed) callback();
    else this.#socket.end((error?: Error | null) => callback(error));
  }

  /** Of Duplex. */
  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#socket.destroy();
    this.#protection.context.close();
    callback(error);
  }

  /** False: the connection is there. */
  get connecting(): boolean {
    return false;
  }

  /** As of a socket of node:net. */
  get readyState(): "open" | "readOnly" | "writeOnly" | "closed" {
    if (this.readable && this.writable) return "open";
    return this.readable ? "readOnly" : this.writable ? "writeOnly" : "closed";
  }

  /** The connection's, where it has one. */
  get remoteAddress(): string | undefined {
    return this.#socket.remoteAddress;
  }

  /** The connection's, where it has one. */
  get remotePort(): number | undefined {
    return this.#socket.remotePort;
  }

  /** The connection's, where it has one; `timeout` is emitted here, too. */
  setTimeout(ms: number, callback?: () => void): this {
    if (callback) this.once("timeout", callback);
    this.#socket.setTimeout?.(ms);
    return this;
  }

  /** The connection's, where it has one. */
  setKeepAlive(on?: boolean, delay?: number): this {
    this.#socket.setKeepAlive?.(on, delay);
    return this;
  }

  /** The connection's, where it has one. */
  setNoDelay(on?: boolean): this {
    this.#socket.setNoDelay?.(on);
    return this;
  }

  /** The connection's, where it has one. */
  ref(): this {
    this.#socket.ref?.();
    return this;
  }

  /** The connection's, where it has one. */
  unref(): this {
    this.#socket.unref?.();
    return this;
  }
}
