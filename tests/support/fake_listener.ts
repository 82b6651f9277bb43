/** A TCP listener in memory, whose connections and failures the test makes. */

import type { NetAddress, TcpListener, TcpTransport } from "../../ffi/transport/mod.ts";
import { MemoryTransport } from "./memory_transport.ts";

/** Accepts the connections that the test makes. */
export class FakeListener implements TcpListener {
  /** Its address. */
  readonly addr: NetAddress = { transport: "tcp", hostname: "192.0.2.9", port: 9 };
  /** Set: it behaves like Node's, which takes connections from the system's queue by itself. */
  scarce?: boolean;
  /** How often close was called. */
  closes = 0;
  /** How often accept was called. */
  accepts = 0;
  readonly #queue: (TcpTransport | Error)[] = [];
  #waiter: { resolve(one: TcpTransport): void; reject(error: unknown): void } | null = null;

  /** A client connects; returns the client's end and the server's. */
  arrive(): [peer: MemoryTransport, own: MemoryTransport] {
    const [peer, own] = MemoryTransport.pair();
    this.#put(own);
    return [peer, own];
  }

  /** Makes an accept fail. */
  fail(error: Error): void {
    this.#put(error);
  }

  #put(one: TcpTransport | Error): void {
    const waiter = this.#waiter;
    this.#waiter = null;
    if (!waiter) this.#queue.push(one);
    else if (one instanceof Error) waiter.reject(one);
    else waiter.resolve(one);
  }

  /** Returns the next connection. */
  accept(): Promise<TcpTransport> {
    this.accepts++;
    const one = this.#queue.shift();
    if (one instanceof Error) return Promise.reject(one);
    if (one) return Promise.resolve(one);
    return new Promise((resolve, reject) => this.#waiter = { resolve, reject });
  }

  /** Rejects a pending accept. */
  close(): void {
    this.closes++;
    this.#waiter?.reject(new Error("the listener is closed"));
    this.#waiter = null;
  }
}
