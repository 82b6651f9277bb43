/**
 * Exchanges of several tokens, each bound to the connection it began on, bounded in number and in time.
 *
 * @module
 */

import type { SecurityContext } from "../../contract.ts";
import { TimeoutError } from "../../errors.ts";

/** One exchange. */
export interface Exchange {
  /** The context. */
  readonly context: SecurityContext;
  /** The scheme of its tokens, in lower case. */
  readonly scheme: string;
  /** Closes the context and stops the clock. Closing twice is harmless. */
  close(): void;
}

/** The limits of {@linkcode Exchanges}. */
export interface ExchangeLimits {
  /** The most exchanges that wait for their clients. */
  readonly maxPending: number;
  /** How long one exchange may take, from its first token to its last, in milliseconds. */
  readonly timeoutMs: number;
}

interface Closing {
  once?(event: "close", listener: () => void): unknown;
}

/** The exchanges of a server that have begun. */
export class Exchanges {
  readonly #limits: ExchangeLimits;
  /** Each with the connection whose next token it waits for; `null` while it does not wait. */
  readonly #begun = new Map<Exchange, object | null>();
  /** Those that wait, by their connections, the oldest first. */
  readonly #waiting = new Map<object, Exchange>();
  readonly #watched = new WeakSet<object>();

  constructor(limits: ExchangeLimits) {
    this.#limits = limits;
  }

  /** How many have begun and not ended. */
  get size(): number {
    return this.#begun.size;
  }

  /** Begins one. `open` makes its context, with the signal that ends its waits when its time is over. */
  begin(scheme: string, open: (signal: AbortSignal) => SecurityContext): Exchange {
    const { timeoutMs } = this.#limits;
    const controller = new AbortController();
    const context = open(controller.signal);
    const timer = setTimeout(() => {
      controller.abort(new TimeoutError(`The exchange took longer than ${timeoutMs} ms`, timeoutMs));
      exchange.close();
    }, timeoutMs);
    const exchange: Exchange = {
      context,
      scheme,
      close: () => {
        clearTimeout(timer);
        const connection = this.#begun.get(exchange);
        this.#begun.delete(exchange);
        if (connection) this.#waiting.delete(connection);
        context.close();
      },
    };
    this.#begun.set(exchange, null);
    return exchange;
  }

  /** Has an exchange wait for the next token of its connection. The oldest makes room. */
  wait(connection: object, exchange: Exchange): void {
    this.#waiting.get(connection)?.close();
    if (this.#waiting.size >= this.#limits.maxPending) {
      const [oldest] = this.#waiting.values();
      oldest.close();
    }
    // Closed during its step: its time is over, or the server closes.
    if (!this.#begun.has(exchange)) return;
    this.#begun.set(exchange, connection);
    this.#waiting.set(connection, exchange);
    if (this.#watched.has(connection)) return;
    this.#watched.add(connection);
    (connection as Closing).once?.("close", () => this.#waiting.get(connection)?.close());
  }

  /** The exchange that waits for this connection's next token; it waits no longer. */
  take(connection: object): Exchange | undefined {
    const exchange = this.#waiting.get(connection);
    if (exchange === undefined) return undefined;
    this.#waiting.delete(connection);
    this.#begun.set(exchange, null);
    return exchange;
  }

  /** Closes all. */
  close(): void {
    for (const exchange of [...this.#begun.keys()]) exchange.close();
  }
}
