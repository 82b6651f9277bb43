/**
 * Where failed handshakes go that nobody asked to be told of.
 *
 * @module
 */

import type { HandshakeOrigin } from "./options.ts";

/** One line in this time, whatever strangers do. */
const INTERVAL_MS = 1000;

/** Writes failures to `console.warn`, at most one line a second, and counts those in between. */
export class FailureLog {
  #silentUntil = -Infinity;
  #unsaid = 0;

  /** Writes one failure, or counts it. */
  report(error: unknown, { remoteAddr }: HandshakeOrigin): void {
    const now = performance.now();
    if (now < this.#silentUntil) {
      this.#unsaid++;
      return;
    }
    this.#silentUntil = now + INTERVAL_MS;
    const peer = remoteAddr ? ` with ${remoteAddr.hostname}:${remoteAddr.port}` : "";
    console.warn(`secure-sockets: a handshake${peer} failed: ${String(error)}${this.#takeCount()}`);
  }

  /** Writes how many failures were only counted. */
  flush(): void {
    const count = this.#takeCount();
    if (count) console.warn(`secure-sockets: a listener was closed${count}`);
  }

  #takeCount(): string {
    const count = this.#unsaid;
    this.#unsaid = 0;
    return count === 0 ? "" : ` (and ${count} more handshakes failed before)`;
  }
}
