/**
 * The implementation of a connection: which calls are valid when, what a failure does, and what is released.
 *
 * @module
 */

import { StateError, UnsupportedPlatformError } from "../errors.ts";
import type { PeerIdentity, ProviderCredentials, SecurityInfo } from "../contract.ts";
import { publish, summarize } from "../contexts/diagnostics.ts";
import type { ConnectionSecurity } from "./connection_security.ts";
import type { Records } from "./records.ts";
import type { QueriedSecurity, QuerySecurityOptions, SecureConn } from "./secure_conn.ts";
import { type FailableWritable, readableFrom, writableTo, WriteQueue } from "./streams.ts";
import type { NetAddress, Wire } from "./transport.ts";

/** The longest chunk that the readable stream returns. */
const MAX_CHUNK = 64 * 1024;

/** What a connection consists of. The connection owns all of it. */
export interface ConnectionParts {
  /** The transport. */
  readonly wire: Wire;
  /** The verified security of the connection. */
  readonly security: ConnectionSecurity;
  /** Reads and writes records over the transport. */
  readonly records: Records;
}

/** An authenticated connection of any layer. */
export class Connection implements SecureConn {
  readonly localAddr: NetAddress | null;
  readonly remoteAddr: NetAddress | null;
  readonly security: SecurityInfo;
  readonly peer: PeerIdentity | undefined;
  readonly #parts: ConnectionParts;
  readonly #writes = new WriteQueue({
    send: (parts) => this.#parts.records.write(...parts),
    onFailure: (error) => void this.#fail(error),
  });
  #endOfStream: "unauthenticated" | null = null;
  /** Why every call is refused, once the connection is closed or has failed. */
  #over: { readonly error: unknown } | null = null;
  #closing: Promise<void> | null = null;
  #rejectRead: ((error: unknown) => void) | null = null;
  #readable: ReadableStream<Uint8Array<ArrayBuffer>> | null = null;
  #writable: FailableWritable | null = null;
  /**
   * True once the stream of this direction has moved bytes: a call could overtake bytes that the stream still
   * holds.
   */
  #streamReads = false;
  #streamWrites = false;
  #readEnded = false;
  #writeEnded: Promise<void> | null = null;
  #impersonating = false;
  readonly #began = performance.now();
  #bytesRead = 0;
  #bytesWritten = 0;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    this.localAddr = parts.wire.localAddr;
    this.remoteAddr = parts.wire.remoteAddr;
    this.security = parts.security.info;
    this.peer = parts.security.peer;
  }

  get endOfStream(): "unauthenticated" | null {
    return this.#endOfStream;
  }

  get readable(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return this.#readable ??= readableFrom({
      next: () => this.#nextChunk(),
      ended: () => {
        this.#streamReads = this.#readEnded = true;
        this.#closeIfBothEnded();
      },
    });
  }

  get writable(): WritableStream<Uint8Array> {
    this.#writable ??= writableTo({
      write: async (chunk) => {
        const bytes = bytesOf(chunk, "the chunk");
        if (!this.#streamWrites && this.#writes.busy) throw mixed("writable", "a write");
        this.#streamWrites = true;
        await this.#enqueueWrite(bytes);
      },
      close: async () => {
        this.#streamWrites = true;
        await this.#endWriting();
        this.#closeIfBothEnded();
      },
      abort: (reason) => void this.#fail(reason ?? new StateError("conn.writable was aborted")),
    });
    return this.#writable.stream;
  }

  async read(p: Uint8Array): Promise<number | null> {
    const into = bytesOf(p, "p");
    this.#rejectIfOver();
    if (this.#streamReads || this.#readable?.locked) throw inUse("readable", "reading");
    if (into.length === 0) return 0;
    return await this.#receive(() => this.#count(this.#parts.records.take(into)));
  }

  async #nextChunk(): Promise<Uint8Array<ArrayBuffer> | null> {
    if (this.#rejectRead) throw mixed("readable", "a read");
    this.#streamReads = true;
    return await this.#receive(() => {
      const { records } = this.#parts;
      const chunk = new Uint8Array(Math.min(records.buffered, MAX_CHUNK));
      const taken = this.#count(records.take(chunk));
      // A few bytes must not keep a large buffer alive.
      return 2 * taken < chunk.length ? chunk.slice(0, taken) : chunk.subarray(0, taken);
    });
  }

  #count(taken: number): number {
    this.#bytesRead += taken;
    return taken;
  }

  /** Waits until bytes have arrived and takes them; `null` at the end of the stream. */
  async #receive<T>(take: () => T): Promise<T | null> {
    this.#rejectIfOver();
    if (this.#rejectRead) throw new StateError("Another read is pending; await it before you start the next");
    if (this.#readEnded) return null;
    const { records } = this.#parts;
    this.#rejectRead = noReject;
    try {
      const more = records.complete || await Promise.race([records.ready(), this.#interrupted()]);
      this.#rejectIfOver();
      if (!more) {
        this.#readEnded = true;
        this.#endOfStream = "unauthenticated";
        return null;
      }
      const taken = take();
      if (records.failure !== undefined) this.#fail(records.failure);
      return taken;
    } catch (error) {
      throw this.#fail(error);
    } finally {
      this.#rejectRead = null;
    }
  }

  /** Rejects when the connection ends. Not an AbortSignal: the transport may never settle its own read. */
  #interrupted(): Promise<never> {
    return new Promise<never>((_, reject) => this.#rejectRead = reject);
  }

  async write(p: Uint8Array): Promise<number> {
    const bytes = bytesOf(p, "p");
    this.#rejectIfOver();
    if (this.#streamWrites || this.#writable?.stream.locked) throw inUse("writable", "writing");
    await this.#enqueueWrite(bytes);
    return bytes.length;
  }

  async #enqueueWrite(p: Uint8Array): Promise<void> {
    this.#rejectIfOver();
    if (this.#writeEnded) {
      throw new StateError("The sending direction is closed; nothing more can be written");
    }
    await this.#writes.add(p);
    this.#bytesWritten += p.length;
  }

  async closeWrite(): Promise<void> {
    this.#rejectIfOver();
    if (this.#streamWrites || this.#writable?.stream.locked) throw inUse("writable", "writing");
    if (!this.#parts.wire.closeWrite) {
      throw new UnsupportedPlatformError("This transport cannot close one direction only", {
        instead: "Close the connection, or pass a transport that has closeWrite()",
      });
    }
    await this.#endWriting();
  }

  #endWriting(): Promise<void> {
    const { wire } = this.#parts;
    return this.#writeEnded ??= this.#writes.add(async () => await wire.closeWrite?.());
  }

  // deno-lint-ignore require-await -- a promise, since other layers have to ask the system
  async querySecurity({ tokens = false }: QuerySecurityOptions = {}): Promise<QueriedSecurity> {
    this.#rejectIfOver();
    const given = tokens ? this.#parts.security.tokens() : null;
    try {
      const info = this.#parts.security.check();
      return given ? Object.freeze({ ...info, tokens: given }) : info;
    } catch (error) {
      throw this.#fail(error);
    }
  }

  takeDelegated(): ProviderCredentials | null {
    this.#rejectIfOver();
    return this.#parts.security.takeDelegated();
  }

  impersonate<T>(fn: () => T): T {
    this.#rejectIfOver();
    const nested = this.#impersonating;
    this.#impersonating = true;
    try {
      return this.#parts.security.impersonate(fn);
    } finally {
      this.#impersonating = nested;
      if (this.#over && !nested) this.#releaseContext();
    }
  }

  close(): Promise<void> {
    if (!this.#over) this.#release(new StateError("The connection was closed"), false);
    return this.#closing!;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #rejectIfOver(): void {
    if (this.#over) throw this.#over.error;
  }

  #closeIfBothEnded(): void {
    if (this.#readEnded && this.#writeEnded && this.#streamReads && this.#streamWrites) this.close();
  }

  /** Makes `error` final unless the connection is already over; returns the error that is final. */
  #fail(error: unknown): unknown {
    if (!this.#over) this.#release(error);
    return this.#over!.error;
  }

  #release(error: unknown, failed = true): void {
    this.#over = { error };
    publish("secure-sockets.connection.close", () => {
      const { provider, mechanism } = this.security;
      const { counts } = this.#parts.records;
      return {
        provider,
        mechanism,
        durationMs: performance.now() - this.#began,
        bytesRead: this.#bytesRead,
        bytesWritten: this.#bytesWritten,
        recordsRead: counts.read,
        recordsWritten: counts.written,
        ...(failed ? { error: summarize(error) } : {}),
      };
    });
    this.#rejectRead?.(error);
    this.#writes.stop(error);
    this.#writable?.fail(error);
    this.#closing = this.#parts.wire.close();
    // While the client is impersonated its context is in use; it is released afterwards.
    if (!this.#impersonating) this.#releaseContext();
  }

  #releaseContext(): void {
    const { records, security } = this.#parts;
    records.wipe();
    const closed = this.#closing;
    this.#closing = (async () => {
      await security.release();
      await closed;
    })();
    // Reported to callers of close(); never in place of the failure that caused the release.
    this.#closing.catch(() => {});
  }
}

/** While a read that waits for nothing is under way. */
const noReject = (): void => {};

/** A plain view: methods that a subclass such as Node's Buffer overrides must not change what is sent. */
function bytesOf(p: unknown, name: string): Uint8Array {
  if (!(p instanceof Uint8Array)) throw new TypeError(`${name} must be a Uint8Array`);
  return new Uint8Array(p.buffer, p.byteOffset, p.byteLength);
}

function inUse(stream: "readable" | "writable", doing: string): StateError {
  return new StateError(
    `conn.${stream} is in use: continue ${doing} through it, or use only calls from the start`,
  );
}

function mixed(stream: "readable" | "writable", call: string): StateError {
  return new StateError(`conn.${stream} cannot be used while ${call} is pending; await it first`);
}
