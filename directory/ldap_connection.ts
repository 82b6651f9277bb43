/**
 * Requests, which ldapts writes, and their answers over a bound connection.
 *
 * @module
 */

import type { Buffer } from "node:buffer";
import type { Duplex } from "node:stream";
import { AbandonRequest, UnbindRequest } from "ldapts";
import { ProtocolError, SecureSocketError, StateError, TransportError } from "../errors.ts";
import { socketFailure } from "../ffi/transport/failure.ts";
import { Deadline } from "../sockets/deadline.ts";
import { malformed, MessageReader } from "./ber.ts";
import {
  ENTRY,
  EXTENDED,
  type Message,
  type RawEntry,
  readCookie,
  readEntry,
  readMessage,
  readReference,
  readResult,
  REFERENCE,
} from "./ldap_messages.ts";
import { type Result, SUCCESS } from "./results.ts";

/** The most that a server may send in answer to one request, all entries together. A page has at most 1,000. */
const MAX_ANSWER = 512 * 1024 * 1024;
/** What an object, an attribute or a value takes in memory besides its bytes. */
const OVERHEAD = 128;
/** The most references of one answer. */
const MAX_REFERENCES = 10_000;
/** The tags of the results of searches, changes, additions and deletions, by those of the requests. */
const RESULTS: { readonly [request: number]: number } = { 0x63: 0x65, 0x66: 0x67, 0x68: 0x69, 0x4a: 0x6b };
const MAX_ID = 2 ** 31 - 1;
/** How long a server may take to read what was sent before the end. */
const CLOSE_MS = 1000;

/** A request of ldapts. */
interface Request {
  messageId: number;
  readonly protocolOperation: number;
  write(): Buffer;
}

/** What a server answered. */
export interface Answer {
  /** The result. */
  readonly result: Result;
  /** Objects, in the order in which they came. */
  readonly entries: readonly RawEntry[];
  /** Where the search goes on, as LDAP URLs. */
  readonly references: readonly string[];
  /** Where the next page begins; empty where there is none, `null` where the server does not page. */
  readonly cookie: Uint8Array | null;
}

interface Pending {
  /** The tag of its result. */
  readonly tag: number;
  /** The most objects that it may be answered by. */
  readonly most: number;
  readonly entries: RawEntry[];
  readonly references: string[];
  bytes: number;
  resolve(answer: Answer): void;
  reject(error: unknown): void;
}

/** A connection that a bind has completed. It owns the stream. */
export class LdapConnection {
  readonly #stream: Duplex;
  readonly #address: string;
  readonly #timeoutMs: number;
  readonly #reader = new MessageReader();
  readonly #pending = new Map<number, Pending>();
  readonly #closed = Promise.withResolvers<void>();
  #nextId = 1;
  #failure: Error | null = null;

  /** `address` is for messages. */
  constructor(stream: Duplex, address: string, timeoutMs: number) {
    this.#stream = stream;
    this.#address = address;
    this.#timeoutMs = timeoutMs;
    stream.on("data", (chunk: Uint8Array) => this.#read(chunk));
    stream.on("error", (error) => {
      this.#fail(
        error instanceof SecureSocketError
          ? error
          : socketFailure(error, `go on with the directory ${address}`, address),
      );
    });
    stream.on("end", () => this.#fail(this.#endedByServer("")));
    stream.on("close", () => {
      this.#fail(this.#endedByServer(""));
      this.#closed.resolve();
    });
  }

  /**
   * Sends a request and waits for its result. Results other than success are results. `most` objects may come before
   * it.
   */
  async request(request: Request, signal?: AbortSignal, most = 0): Promise<Answer> {
    signal?.throwIfAborted();
    if (this.#failure) throw this.#failure;
    const id = this.#nextId;
    this.#nextId = id === MAX_ID ? 1 : id + 1;
    request.messageId = id;
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const deadline = new Deadline(signal, `The answer of the directory ${this.#address}`, this.#timeoutMs);
    const tag = RESULTS[request.protocolOperation];
    this.#pending.set(id, { tag, most, entries: [], references: [], bytes: 0, resolve, reject });
    try {
      this.#stream.write(request.write());
      return await deadline.race(promise);
    } catch (error) {
      // A server that does not answer is not asked again; a caller who gives up leaves the connection to others.
      if (signal?.aborted) this.#abandon(id);
      else if (deadline.signal.aborted) this.#fail(error as Error);
      throw error;
    } finally {
      deadline.end();
      this.#pending.delete(id);
    }
  }

  #abandon(id: number): void {
    if (this.#failure) return;
    const messageId = this.#nextId++;
    this.#stream.write(new AbandonRequest({ messageId, abandonId: id }).write());
  }

  #read(chunk: Uint8Array): void {
    if (this.#failure) return;
    try {
      for (const bytes of this.#reader.push(chunk)) this.#receive(readMessage(bytes), bytes.length);
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #receive({ id, operation, controls }: Message, size: number): void {
    // The server takes its leave (RFC 4511, 4.4.1).
    if (id === 0 && operation.tag === EXTENDED) {
      return this.#fail(this.#endedByServer(readResult(operation).errorMessage));
    }
    const pending = this.#pending.get(id);
    if (pending === undefined) return;
    const { entries, references } = pending;
    pending.bytes += size;
    if (operation.tag === ENTRY) {
      const entry = readEntry(operation);
      if (entries.push(entry) > pending.most) {
        throw this.#against(`returned more objects than were asked for, ${pending.most}`);
      }
      const { attributes } = entry;
      pending.bytes += OVERHEAD * attributes.reduce((sum, { values }) => sum + 1 + values.length, 1);
    } else if (operation.tag === REFERENCE) {
      for (const url of readReference(operation)) references.push(url);
      if (references.length > MAX_REFERENCES) {
        throw this.#against(`returned more than ${MAX_REFERENCES} referrals in answer to one request`);
      }
    } else if (operation.tag === pending.tag) {
      pending.resolve({ result: readResult(operation), entries, references, cookie: readCookie(controls) });
    } else throw malformed();
    if (pending.bytes > MAX_ANSWER) {
      const why = `${this.#address} sent more than ${MAX_ANSWER} bytes in answer to one request`;
      throw new ProtocolError("oversized", why);
    }
  }

  #against(what: string): ProtocolError {
    return new ProtocolError("unexpected-message", `${this.#address} ${what}; the connection was ended`);
  }

  #endedByServer(words: string): TransportError {
    const said = words === "" ? "" : `: ${words}`;
    return new TransportError(
      "closed",
      `The directory server ${this.#address} ended the connection${said}. Open the directory again`,
    );
  }

  #fail(error: Error): void {
    if (this.#failure) return;
    this.#failure = error;
    for (const { reject } of this.#pending.values()) reject(error);
    this.#stream.destroy();
  }

  /** Ends the connection. */
  async close(): Promise<void> {
    if (!this.#failure) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const timer = setTimeout(resolve, CLOSE_MS);
      this.#stream.write(new UnbindRequest({ messageId: this.#nextId }).write());
      this.#stream.end(resolve);
      await promise;
      clearTimeout(timer);
      this.#fail(new StateError("The directory is closed; open it again"));
    }
    await this.#closed.promise;
  }
}

/** Whether an answer is success. */
export function succeeded({ result }: Answer): boolean {
  return result.status === SUCCESS;
}
