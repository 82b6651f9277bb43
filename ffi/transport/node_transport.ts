/**
 * Adapts a Node socket to the interface of a Deno.Conn.
 *
 * @module
 */

import { closedFailure, socketFailure } from "./failure.ts";
import type { NetAddress, TcpTransport } from "./types.ts";

/** How many bytes may arrive unread before the socket is paused. */
const HIGH_WATER = 128 * 1024;

/** The part of a `net.Socket` used here, so that no `node:` type reaches a public signature. */
export interface NodeSocket {
  /** This end's address. */
  readonly localAddress?: string;
  /** This end's port. */
  readonly localPort?: number;
  /** The peer's address. */
  readonly remoteAddress?: string;
  /** The peer's port. */
  readonly remotePort?: number;
  /** Stops the flow of data. */
  pause(): unknown;
  /** Starts it again. */
  resume(): unknown;
  /** Whether it was stopped. */
  isPaused(): boolean;
  /** Listens for bytes. */
  on(event: "data", listener: (chunk: Uint8Array) => void): unknown;
  /** Listens for a failure. */
  on(event: "error", listener: (error: Error) => void): unknown;
  /** Listens for the end of the peer's direction, or of both. */
  on(event: "end" | "close", listener: () => void): unknown;
  /** Writes; `done` is called when the system has the bytes, or with the error. */
  write(bytes: Uint8Array, done: (error?: Error | null) => void): unknown;
  /** Ends the direction to the peer. */
  end(done: () => void): unknown;
  /** Closes both directions. */
  destroy(): unknown;
}

interface Waiter {
  readonly into: Uint8Array;
  resolve(read: number | null): void;
  reject(error: unknown): void;
}

/** Becomes the owner of `socket`, which must be connected, allow half-open connections and have no reader. */
export class NodeTransport implements TcpTransport {
  readonly localAddr: NetAddress;
  readonly remoteAddr: NetAddress;
  readonly #socket: NodeSocket;
  readonly #chunks: Uint8Array[] = [];
  #unread = 0;
  #ended = false;
  #failure: Error | null = null;
  #waiter: Waiter | null = null;

  constructor(socket: NodeSocket) {
    this.#socket = socket;
    const { localAddress = "", localPort = 0, remoteAddress = "", remotePort = 0 } = socket;
    this.localAddr = { transport: "tcp", hostname: localAddress, port: localPort };
    this.remoteAddr = { transport: "tcp", hostname: remoteAddress, port: remotePort };
    socket.pause();
    socket.on("data", (chunk) => {
      this.#chunks.push(chunk);
      this.#unread += chunk.length;
      if (this.#unread >= HIGH_WATER) socket.pause();
      this.#serve();
    });
    socket.on("end", () => {
      this.#ended = true;
      this.#serve();
    });
    socket.on("error", (cause) => this.#fail(this.#translate(cause, "use the connection to")));
    socket.on("close", () => this.#fail(closedFailure("read")));
  }

  #translate(cause: unknown, what: string): Error {
    const address = `${this.remoteAddr.hostname}:${this.remoteAddr.port}`;
    return socketFailure(cause, `${what} ${address}`, address);
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    this.#serve();
  }

  /** Completes the waiting read with bytes, the end, or the failure. */
  #serve(): void {
    const waiter = this.#waiter;
    if (!waiter) return;
    if (this.#unread > 0) waiter.resolve(this.#take(waiter.into));
    else if (this.#ended) waiter.resolve(null);
    else if (this.#failure) waiter.reject(this.#failure);
    else return;
    this.#waiter = null;
  }

  #take(into: Uint8Array): number {
    let taken = 0;
    while (taken < into.length && this.#chunks.length > 0) {
      const chunk = this.#chunks[0];
      const part = chunk.subarray(0, into.length - taken);
      into.set(part, taken);
      taken += part.length;
      if (part.length === chunk.length) this.#chunks.shift();
      else this.#chunks[0] = chunk.subarray(part.length);
    }
    this.#unread -= taken;
    return taken;
  }

  read(p: Uint8Array): Promise<number | null> {
    if (this.#waiter) return Promise.reject(new TypeError("Another read is pending; await it first"));
    return new Promise((resolve, reject) => {
      this.#waiter = { into: p, resolve, reject };
      this.#serve();
      if (this.#waiter && this.#socket.isPaused()) this.#socket.resume();
    });
  }

  write(p: Uint8Array): Promise<number> {
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#socket.write(p, (cause) => {
        if (cause) reject(this.#failure ?? this.#translate(cause, "write to"));
        else resolve(p.length);
      });
    });
  }

  closeWrite(): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#socket.on("close", () => reject(this.#failure));
      this.#socket.end((cause?: unknown) => cause ? reject(this.#translate(cause, "half-close")) : resolve());
    });
  }

  close(): void {
    this.#failure ??= closedFailure("use the connection");
    this.#chunks.length = this.#unread = 0;
    this.#ended = false;
    this.#socket.destroy();
    this.#serve();
  }
}
