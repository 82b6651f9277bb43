/**
 * What every part of the demo uses: a server, a relay in front of it, and the options of an honest client.
 *
 * @module
 */

import {
  connect,
  type ConnectOptions,
  listen,
  type ListenOptions,
  type SecureConn,
  type SecureListener,
} from "../../mod.ts";
import { Relay } from "./relay.ts";

/** How long an attempt may take before the demo gives up on it, in milliseconds. */
export const LIMIT_MS = 5000;

/** What the attempts are made with. One owner. */
export interface Stage extends AsyncDisposable {
  /** The server, behind the relay. */
  readonly listener: SecureListener;
  /** The handshakes that fail at the server. */
  readonly failures: Failures;
  /** Between the two. */
  readonly relay: Relay;
  /** The options of an honest client. */
  readonly honest: ConnectOptions;
}

/** The handshakes that failed at the server: each is handed out once, in order. */
export class Failures {
  readonly #waiting: unknown[] = [];
  #wake: () => void = () => {};

  /** Accepts a connection. */
  add(error: unknown): void {
    this.#waiting.push(error);
    this.#wake();
  }

  /** The next one; null where none comes. */
  async next(): Promise<unknown> {
    if (this.#waiting.length === 0) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#wake = resolve;
      const timer = setTimeout(resolve, LIMIT_MS);
      await promise;
      clearTimeout(timer);
    }
    return this.#waiting.shift() ?? null;
  }
}

/** Both ends' part of what is agreed on, and what the client adds to it. */
export interface Terms {
  /** The service's name: what the client asks for, and the only one the server accepts. */
  readonly target: string;
  /** What both ends are given. */
  readonly both: Pick<ListenOptions, "registry" | "requirements" | "system">;
  /** The client's credentials; left out: the user who is logged in. */
  readonly credentials?: ConnectOptions["credentials"];
}

/** Starts a server on loopback and a relay in front of it. */
export async function openStage({ target, both, credentials }: Terms): Promise<Stage> {
  const failures = new Failures();
  const listener = await listen({
    ...both,
    hostname: "127.0.0.1",
    port: 0,
    acceptedTargets: [target],
    onHandshakeError: (error) => failures.add(error),
    handshakeTimeoutMs: LIMIT_MS,
  });
  const relay = await Relay.start(listener.addr.port);
  return {
    listener,
    failures,
    relay,
    honest: { ...both, hostname: "127.0.0.1", port: relay.port, target, credentials },
    async [Symbol.asyncDispose]() {
      await relay[Symbol.asyncDispose]();
      await listener.close();
    },
  };
}

/** An honest connection through the relay. */
export async function openConnection(
  { honest, listener }: Stage,
): Promise<{ client: SecureConn; server: SecureConn }> {
  const [client, server] = await Promise.all([connect(honest), listener.accept()]);
  return { client, server };
}
