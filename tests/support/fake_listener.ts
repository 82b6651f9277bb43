/** A TCP listener in memory, whose arrivals and failures are made to order. */

import type { NetAddress, TcpListener, TcpTransport } from "../../ffi/transport/mod.ts";
import { MemoryTransport } from "./memory_transport.ts";

/** Hands out what is put into it. */
export class FakeListener implements TcpListener {
  /** Where it pretends to listen. */
  readonly addr: NetAddress = { transport: "tcp", hostname: "192.0.2.9", port: 9 };
  /** Given: it is like Node's, which takes connections from the system by itself. */
  scarce?: boolean;
  /** How often close was called. */
  closes = 0;
  /** How often accept was called. */
  accepts = 0;
  readonly #queue: (TcpTransport | Error)[] = [];
  #waiter: { resolve(one: TcpTransport): void; reject(error: unknown): void } | null = null;

  /** A stranger connects; the result is the stranger's end, and the end of ours. */
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

  /** The next arrival. */
  accept(): Promise<TcpTransport> {
    this.accepts++;
    const one = this.#queue.shift();
    if (one instanceof Error) return Promise.reject(one);
    if (one) return Promise.resolve(one);
    return new Promise((resolve, reject) => this.#waiter = { resolve, reject });
  }

  /** Rejects a waiting accept. */
  close(): void {
    this.closes++;
    this.#waiter?.reject(new Error("the listener is closed"));
    this.#waiter = null;
  }
}
