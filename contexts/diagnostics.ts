/**
 * Publishes what happens on channels of `node:diagnostics_channel`, for logs, metrics and traces. Without a
 * subscriber nothing is computed.
 *
 * @module
 */

/**
 * The messages that are published on channels of `node:diagnostics_channel`, by the name of the channel. They are
 * frozen, and none contains a token, a key, a password or the name of a user. Every time is in milliseconds; `id` is
 * the same number in all messages about one security context of this process.
 *
 * @example
 * ```ts
 * import { subscribe } from "node:diagnostics_channel";
 * import type { DiagnosticMessages } from "@winsock/secure-sockets";
 *
 * subscribe("secure-sockets.handshake.error", (message) => {
 *   const { role, durationMs, error } = message as DiagnosticMessages["secure-sockets.handshake.error"];
 *   console.log(role, error.name, error.reason, durationMs);
 * });
 * ```
 *
 * @see https://nodejs.org/api/diagnostics_channel.html
 */
export interface DiagnosticMessages {
  /** A security context makes or receives its first token. `target`: on a client, the server's SPN. */
  readonly "secure-sockets.handshake.start": {
    readonly id: number;
    readonly role: "client" | "server";
    readonly target?: string;
  };
  /**
   * A security context is established and verified. `durationMs` is the time since the first token, `providerMs` the
   * part of it in the provider; on a client it includes every wait for a Kerberos server. `steps`: how many tokens
   * this end made or consumed.
   */
  readonly "secure-sockets.handshake.end": {
    readonly id: number;
    readonly role: "client" | "server";
    readonly target?: string;
    readonly provider: string;
    readonly mechanism: string;
    readonly durationMs: number;
    readonly providerMs: number;
    readonly steps: number;
  };
  /**
   * A security context failed, was aborted, or did not meet the requirements. `provider` is left out if none was
   * selected.
   */
  readonly "secure-sockets.handshake.error": {
    readonly id: number;
    readonly role: "client" | "server";
    readonly target?: string;
    readonly provider?: string;
    readonly durationMs: number;
    readonly providerMs: number;
    readonly steps: number;
    readonly error: { readonly name: string; readonly reason?: string };
  };
  /**
   * Credentials were acquired or, with `error`, could not be. With a password or a client's key table `durationMs`
   * includes the waits for a Kerberos server.
   */
  readonly "secure-sockets.credentials": {
    readonly role: "client" | "server";
    readonly provider: string;
    readonly durationMs: number;
    readonly error?: { readonly name: string; readonly reason?: string };
  };
  /** A listener refused or evicted a connection: whatever `onHandshakeError` receives. */
  readonly "secure-sockets.listener.refused": {
    readonly error: { readonly name: string; readonly reason?: string };
    readonly remoteAddr?: { readonly hostname: string; readonly port: number };
  };
  /**
   * A connection was closed or, with `error`, has failed. Bytes are the application's. The counts of records are 0
   * where records are not protected by the library.
   */
  readonly "secure-sockets.connection.close": {
    readonly provider: string;
    readonly mechanism: string;
    readonly durationMs: number;
    readonly bytesRead: number;
    readonly bytesWritten: number;
    readonly recordsRead: number;
    readonly recordsWritten: number;
    readonly error?: { readonly name: string; readonly reason?: string };
  };
}

type ErrorSummary = DiagnosticMessages["secure-sockets.handshake.error"]["error"];

interface Channel {
  readonly hasSubscribers: boolean;
  publish(message: unknown): void;
}

interface Builtins {
  readonly process?: {
    getBuiltinModule?(name: string): { channel(name: string): Channel } | undefined;
  };
}

const channels = new Map<string, Channel | null>();

function channelOf(name: string): Channel | null {
  let channel = channels.get(name);
  if (channel === undefined) {
    const { process } = globalThis as Builtins;
    channel = process?.getBuiltinModule?.("node:diagnostics_channel")?.channel(name) ?? null;
    channels.set(name, channel);
  }
  return channel;
}

/** Whether anything listens on a channel. */
export function isObserved(name: keyof DiagnosticMessages): boolean {
  return channelOf(name)?.hasSubscribers === true;
}

/** Publishes what `message` returns, if anything listens. */
export function publish<Name extends keyof DiagnosticMessages>(
  name: Name,
  message: () => DiagnosticMessages[Name],
): void {
  const channel = channelOf(name);
  if (channel?.hasSubscribers) channel.publish(Object.freeze(message()));
}

/** The name and the reason of an error. */
export function summarize(error: unknown): ErrorSummary {
  const { name, reason } = (error ?? {}) as { name?: unknown; reason?: unknown };
  return {
    name: typeof name === "string" ? name : typeof error,
    ...(typeof reason === "string" ? { reason } : {}),
  };
}

/** Publishes the result of acquiring credentials, and passes it on. */
export function observeCredentials<T>(
  role: "client" | "server",
  provider: string,
  acquiring: Promise<T>,
): Promise<T> {
  if (!isObserved("secure-sockets.credentials")) return acquiring;
  const began = performance.now();
  const report = (error?: { cause: unknown }): void =>
    publish("secure-sockets.credentials", () => ({
      role,
      provider,
      durationMs: performance.now() - began,
      ...(error ? { error: summarize(error.cause) } : {}),
    }));
  acquiring.then(() => report(), (cause) => report({ cause }));
  return acquiring;
}

let contexts = 0;

/** Publishes the start and the end of one handshake. */
export class HandshakeObserver {
  readonly #start: DiagnosticMessages["secure-sockets.handshake.start"];
  readonly #began: number;
  #providerMs = 0;
  #steps = 0;
  #over = false;

  constructor(role: "client" | "server", target: string | undefined) {
    this.#start = { id: ++contexts, role, ...(target === undefined ? {} : { target }) };
    this.#began = performance.now();
    publish("secure-sockets.handshake.start", () => ({ ...this.#start }));
  }

  /** Counts a step and the time of the provider in it. */
  async step<T>(pending: Promise<T>): Promise<T> {
    const began = performance.now();
    this.#steps++;
    try {
      return await pending;
    } finally {
      this.#providerMs += performance.now() - began;
    }
  }

  get #figures() {
    return {
      ...this.#start,
      durationMs: performance.now() - this.#began,
      providerMs: this.#providerMs,
      steps: this.#steps,
    };
  }

  end(provider: string, mechanism: string): void {
    this.#over = true;
    publish("secure-sockets.handshake.end", () => ({ ...this.#figures, provider, mechanism }));
  }

  /** Once; later failures are of an established context. */
  fail(error: unknown, provider: string | undefined): void {
    if (this.#over) return;
    this.#over = true;
    publish("secure-sockets.handshake.error", () => ({
      ...this.#figures,
      ...(provider === undefined ? {} : { provider }),
      error: summarize(error),
    }));
  }
}

const CHANNELS = [
  "secure-sockets.handshake.start",
  "secure-sockets.handshake.end",
  "secure-sockets.handshake.error",
] as const;

/** An observer of a handshake that begins; `null` where nothing listens. */
export function observeHandshake(role: "client" | "server", target?: string): HandshakeObserver | null {
  return CHANNELS.some(isObserved) ? new HandshakeObserver(role, target) : null;
}
