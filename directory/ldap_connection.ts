/**
 * Requests and answers over a bound connection. ldapts writes and reads the messages; what arrives is cut into messages
 * and checked first, so that its decoder sees nothing that is not whole.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { Duplex } from "node:stream";
import {
  AbandonRequest,
  ExtendedResponse,
  MessageParser,
  SearchEntry,
  SearchReference,
  UnbindRequest,
} from "ldapts";
import type { Control } from "ldapts";
import { ProtocolError, SecureSocketError, StateError, TransportError } from "../errors.ts";
import { socketFailure } from "../ffi/transport/failure.ts";
import { Deadline } from "../sockets/deadline.ts";
import { MessageReader } from "./ber.ts";
import { type Result, SUCCESS } from "./results.ts";

/** The most that a server may send in answer to one request, all entries together. A page has at most 1,000. */
const MAX_ANSWER = 512 * 1024 * 1024;
const MAX_ID = 2 ** 31 - 1;
/** How long a server may take to read what was sent before the end. */
const CLOSE_MS = 1000;

/** A request of ldapts. */
interface Request {
  messageId: number;
  controls?: Control[];
  write(): Buffer;
}

/** What a server answered. */
export interface Answer {
  /** The result. */
  readonly result: Result;
  /** Objects, in the order in which they came. */
  readonly entries: readonly SearchEntry[];
  /** Where the search goes on, as LDAP URLs. */
  readonly references: readonly string[];
  /** Controls of the result. */
  readonly controls: readonly Control[];
}

interface Pending {
  readonly entries: SearchEntry[];
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
  readonly #parser = new MessageParser();
  readonly #pending = new Map<number, Pending>();
  /** The requests under way, as ldapts' decoder looks them up. */
  readonly #requests: Parameters<MessageParser["read"]>[1] = new Map();
  readonly #closed = Promise.withResolvers<void>();
  #nextId = 1;
  #size = 0;
  #failure: Error | null = null;

  /** `address` is for messages. */
  constructor(stream: Duplex, address: string, timeoutMs: number) {
    this.#stream = stream;
    this.#address = address;
    this.#timeoutMs = timeoutMs;
    this.#parser.on("error", (cause) => {
      this.#fail(
        new ProtocolError(
          "malformed",
          `${address} sent a message that is not LDAP; the connection was ended`,
          {
            cause,
          },
        ),
      );
    });
    this.#parser.on("message", (message) => this.#receive(message));
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

  /** Sends a request and waits for its result. Results other than success are results. */
  async request(request: Request, signal?: AbortSignal): Promise<Answer> {
    signal?.throwIfAborted();
    if (this.#failure) throw this.#failure;
    const id = this.#nextId;
    this.#nextId = id === MAX_ID ? 1 : id + 1;
    request.messageId = id;
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const deadline = new Deadline(signal, `The answer of the directory ${this.#address}`, this.#timeoutMs);
    this.#pending.set(id, { entries: [], references: [], bytes: 0, resolve, reject });
    this.#requests.set(`${id}`, { message: request as never });
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
      this.#requests.delete(`${id}`);
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
      for (const message of this.#reader.push(chunk)) {
        this.#size = message.length;
        this.#parser.read(Buffer.from(message.buffer, message.byteOffset, message.length), this.#requests);
      }
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  #receive(message: Parameters<Parameters<MessageParser["on"]>[1]>[0] | object): void {
    const { messageId } = message as { messageId: number };
    const { status, errorMessage } = message as Result;
    // The server takes its leave (RFC 4511, 4.4.1).
    if (messageId === 0 && message instanceof ExtendedResponse) {
      return this.#fail(this.#endedByServer(errorMessage));
    }
    const pending = this.#pending.get(messageId);
    if (pending === undefined) return;
    pending.bytes += this.#size;
    if (pending.bytes > MAX_ANSWER) {
      return this.#fail(
        new ProtocolError(
          "oversized",
          `${this.#address} sent more than ${MAX_ANSWER} bytes in answer to one request`,
        ),
      );
    }
    if (message instanceof SearchEntry) pending.entries.push(message);
    else if (message instanceof SearchReference) pending.references.push(...message.uris);
    else {
      const { entries, references } = pending;
      const { controls = [] } = message as { controls?: Control[] };
      pending.resolve({ result: { status, errorMessage }, entries, references, controls });
    }
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
