/**
 * The stream that a driver writes its messages to and reads the server's from: a socket with GSS encryption, or GSS
 * authentication, between.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import { connect as connectSocket, type Socket } from "node:net";
import { Duplex } from "node:stream";
import type { Initiator, SecurityContext, SecurityInfo } from "../contract.ts";
import { ProtocolError, StateError } from "../errors.ts";
import { Authentication } from "./authentication.ts";
import { establish, noEncryption, Records, requestEncryption } from "./encryption.ts";
import { Incoming } from "./incoming.ts";

/** What a connection is made by. */
export interface StreamTerms {
  /** As {@linkcode PostgresStreamOptions.encryption}. */
  readonly encryption: "require" | "prefer" | "disable";
  /** Refuses hosts without a target. */
  readonly target: (host: string) => string;
  /** Credentials for one context, with encryption or without. */
  readonly open: (encrypted: boolean, signal: AbortSignal) => Promise<Initiator>;
  /** Abandons a connection that is being made. */
  readonly signal?: AbortSignal;
}

/** A connection to a PostgreSQL server, as node-postgres wants its `stream`. */
export interface PostgresStream extends Duplex {
  /**
   * What was agreed on with the server, verified: whether what is sent is encrypted (`confidentiality`), by which
   * mechanism, and who the server is (`peer`). Without encryption it describes the authentication alone: nothing
   * protects the messages then, and `integrity` and `confidentiality` are false.
   *
   * @throws StateError before the server has been authenticated.
   */
  readonly security: SecurityInfo;
  /** Connects; `connect` is emitted once the driver may write. Called by the driver. */
  connect(port: number, host?: string): this;
  /** As that of `net.Socket`. */
  setNoDelay(noDelay?: boolean): this;
  /** As that of `net.Socket`. */
  setKeepAlive(enable?: boolean, initialDelayMs?: number): this;
  /** As that of `net.Socket`. */
  ref(): this;
  /** As that of `net.Socket`. */
  unref(): this;
}

const PROTOCOL_3 = 3;
const CANCEL_REQUEST = 80_877_102;

/** A {@linkcode PostgresStream}. */
export class GssStream extends Duplex implements PostgresStream {
  readonly #terms: StreamTerms;
  readonly #ended = new AbortController();
  /** Set on the socket once there is one. */
  readonly #settings = new Map<string, (socket: Socket) => void>();
  #socket: Socket | null = null;
  #initiator: Initiator | null = null;
  #context: SecurityContext | null = null;
  #records: Records | null = null;
  #security: SecurityInfo | null = null;
  #authentication: Authentication | null = null;
  #startupSent = false;
  /** What is held back until the server is authenticated. */
  #held: (() => void) | null = null;
  #resume: (() => void) | null = null;
  #abandon: (() => void) | null = null;

  /** Opens nothing. */
  constructor(terms: StreamTerms) {
    super({ allowHalfOpen: false });
    this.#terms = terms;
  }

  get security(): SecurityInfo {
    if (this.#security !== null) return this.#security;
    throw new StateError("The server is not authenticated yet; read security once the driver has connected");
  }

  connect(port: number, host?: string): this {
    this.#connect(port, host).catch((error) => this.destroy(error));
    return this;
  }

  setNoDelay(noDelay?: boolean): this {
    return this.#set("noDelay", (socket) => socket.setNoDelay(noDelay));
  }

  setKeepAlive(enable?: boolean, initialDelayMs?: number): this {
    return this.#set("keepAlive", (socket) => socket.setKeepAlive(enable, initialDelayMs));
  }

  ref(): this {
    return this.#set("ref", (socket) => socket.ref());
  }

  unref(): this {
    return this.#set("ref", (socket) => socket.unref());
  }

  #set(name: string, apply: (socket: Socket) => void): this {
    this.#settings.set(name, apply);
    if (this.#socket !== null) apply(this.#socket);
    return this;
  }

  async #connect(port: number, host: string | undefined): Promise<void> {
    if (this.#socket !== null) throw new StateError("The stream is connected already; make another");
    if (typeof port !== "number") {
      throw new TypeError(
        "host is a folder of Unix sockets, over which PostgreSQL has neither GSS encryption nor GSS authentication: " +
          "give the server's host name",
      );
    }
    const { encryption, signal } = this.#terms;
    const target = this.#terms.target(host ?? "localhost");
    signal?.throwIfAborted();
    this.#abandonBy(signal);
    const socket = this.#socket = connectSocket({ port, host: host ?? "localhost" });
    for (const apply of this.#settings.values()) apply(socket);
    const incoming = new Incoming(socket);
    this.#ended.signal.addEventListener("abort", () => incoming.end());
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    socket.once("connect", resolve).on("error", (error) => {
      reject(error);
      this.destroy(error);
    }).once("close", () => reject(new StateError("The connection was closed while it was being made")));
    await promise;
    const send = (bytes: Uint8Array): Promise<void> => this.#send(bytes);
    const encrypted = encryption !== "disable" && await requestEncryption(incoming, send);
    if (encryption === "require" && !encrypted) throw noEncryption();
    this.#initiator = await this.#terms.open(encrypted, this.#ended.signal);
    this.#requireOpen();
    this.#context = this.#initiator.initiate({ target, signal: this.#ended.signal });
    if (encrypted) {
      await establish(this.#context, incoming, send);
      this.#requireOpen();
      this.#records = new Records(this.#context);
      this.#established(this.#context.security);
    }
    this.#authentication = new Authentication({ context: encrypted ? null : this.#context, send });
    this.emit("connect");
    await this.#pump(incoming);
  }

  #abandonBy(signal: AbortSignal | undefined): void {
    const abandon = () => this.destroy(signal!.reason);
    signal?.addEventListener("abort", abandon, { once: true });
    this.#abandon = () => signal?.removeEventListener("abort", abandon);
  }

  #requireOpen(): void {
    if (!this.destroyed) return;
    // What was made while it was being destroyed is nobody's else.
    this.#release();
    throw new StateError("The stream was destroyed while it was connecting");
  }

  #established(security: SecurityInfo): void {
    this.#security = security;
    this.#initiator?.close();
    this.#initiator = null;
    this.#abandon?.();
    this.#abandon = null;
  }

  async #pump(incoming: Incoming): Promise<void> {
    const authentication = this.#authentication!;
    while (!this.destroyed) {
      let data = this.#records === null ? await incoming.any() : await this.#records.receive(incoming);
      if (data === null) break;
      if (!authentication.done) {
        data = await authentication.receive(data);
        if (authentication.done) this.#authenticated();
      }
      if (data.length === 0 || this.push(data)) continue;
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#resume = resolve;
      await promise;
    }
    if (!this.destroyed) this.push(null);
  }

  #authenticated(): void {
    if (this.#records === null) {
      // The context authenticates the server and protects no message.
      const { security } = this.#context!;
      this.#established(Object.freeze({ ...security, integrity: false, confidentiality: false }));
    }
    this.#held?.();
    this.#held = null;
  }

  override _read(): void {
    this.#resume?.();
    this.#resume = null;
  }

  override _write(data: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#transmit(data).then(() => done(), done);
  }

  async #transmit(data: Buffer): Promise<void> {
    const authentication = this.#authentication;
    if (authentication === null) throw new StateError("Write to the stream once it has emitted connect");
    if (this.#records !== null) return await this.#records.send(data, (bytes) => this.#send(bytes));
    if (!authentication.done) {
      if (this.#startupSent) {
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#held = resolve;
        await promise;
      } else checkStartup(data);
      this.#startupSent = true;
    }
    await this.#send(data);
  }

  #send(bytes: Uint8Array): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#socket!.write(bytes, (error) => error ? reject(error) : resolve());
    return promise;
  }

  override _final(done: (error?: Error | null) => void): void {
    if (this.#socket === null || this.#socket.destroyed) done();
    else this.#socket.end(() => done());
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    this.#ended.abort(error ?? new StateError("The stream was destroyed"));
    this.#socket?.destroy();
    this.#release();
    this.#resume?.();
    done(error);
  }

  #release(): void {
    this.#context?.close();
    this.#initiator?.close();
    this.#abandon?.();
  }
}

/**
 * Without encryption nothing may leave before the server is authenticated but the one message that asks it for a
 * session, or to cancel a query.
 */
function checkStartup(data: Buffer): void {
  const whole = data.length >= 8 && data.readUInt32BE(0) === data.length;
  if (whole && (data.readUInt16BE(4) === PROTOCOL_3 || data.readUInt32BE(4) === CANCEL_REQUEST)) return;
  throw new ProtocolError(
    "unexpected-message",
    "The driver does not begin with one startup message of protocol 3; nothing was sent. Leave its ssl option out: " +
      'give encryption: "require" for an encrypted connection',
  );
}
