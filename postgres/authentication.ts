/**
 * The server's messages until it reports that authentication is complete: PostgreSQL's GSS authentication, which no
 * driver has to know, and a guard against a server that reports success too early.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { SecurityContext } from "../contract.ts";
import { AuthenticationError, ProtocolError } from "../errors.ts";

/** The longest message before authentication is complete; libpq has the same limit for errors, its longest. */
export const MAX_MESSAGE = 30_000;

/** Codes of AuthenticationRequest messages. */
const OK = 0;
const GSS = 7;
const GSS_CONTINUE = 8;
const SSPI = 9;

/** What the server may send before: AuthenticationRequest, ErrorResponse, NoticeResponse, NegotiateProtocolVersion. */
const BEFORE = "RENv";

/** How a server is authenticated. */
export interface AuthenticationTerms {
  /** The context to authenticate by; `null` where encryption has authenticated the server already. */
  readonly context: SecurityContext | null;
  /** Sends bytes to the server. */
  readonly send: (bytes: Uint8Array) => Promise<void>;
}

/** Holds the server's messages until whole, answers those of GSS authentication, and passes on the rest. */
export class Authentication {
  readonly #terms: AuthenticationTerms;
  #waiting = Buffer.alloc(0);
  #begun = false;
  #done = false;

  /** Sends nothing yet. */
  constructor(terms: AuthenticationTerms) {
    this.#terms = terms;
  }

  /** True once the server's report of success has been believed. */
  get done(): boolean {
    return this.#done;
  }

  /**
   * Takes bytes of the server and returns those that the driver is to see.
   *
   * @throws AuthenticationError where the server asks for something else, or reports success before it has proved
   * who it is; ProtocolError where a message is none; whatever the context throws.
   */
  async receive(bytes: Buffer): Promise<Buffer> {
    if (this.#done) return bytes;
    this.#waiting = Buffer.concat([this.#waiting, bytes]);
    const passed: Buffer[] = [];
    for (let message = this.#message(); message !== null; message = this.#message()) {
      if (await this.#handle(message)) passed.push(message);
      if (this.#done) {
        passed.push(this.#waiting);
        this.#waiting = Buffer.alloc(0);
        break;
      }
    }
    return Buffer.concat(passed);
  }

  /** The next whole message; `null` where more has to come first. */
  #message(): Buffer | null {
    if (this.#waiting.length < 1) return null;
    const type = String.fromCharCode(this.#waiting[0]);
    if (!BEFORE.includes(type)) {
      throw unexpected(`sent a message of type ${printable(type)} before authentication was complete`);
    }
    if (this.#waiting.length < 5) return null;
    const length = this.#waiting.readUInt32BE(1);
    if (length < (type === "R" ? 8 : 4) || length > MAX_MESSAGE) {
      throw new ProtocolError(
        length > MAX_MESSAGE ? "oversized" : "malformed",
        `The server sent a message of ${length} bytes before authentication was complete. ${IS_IT}`,
      );
    }
    if (this.#waiting.length < 1 + length) return null;
    const message = this.#waiting.subarray(0, 1 + length);
    this.#waiting = this.#waiting.subarray(1 + length);
    return message;
  }

  /** Answers a message; true where the driver is to see it. */
  async #handle(message: Buffer): Promise<boolean> {
    if (message[0] !== 0x52) return true;
    const code = message.readUInt32BE(5);
    const { context } = this.#terms;
    if (context === null) return this.#insideEncryption(code);
    if (code === OK) return this.#believe(context, message);
    if (code === GSS || code === SSPI) {
      if (this.#begun) throw unexpected("began GSS authentication twice");
      if (message.length !== 9) throw unexpected("began GSS authentication with data where none belongs");
      this.#begun = true;
      await this.#step(context, null);
    } else if (code === GSS_CONTINUE) {
      if (!this.#begun) throw unexpected("sent a GSS token before it asked for GSS authentication");
      if (message.length === 9) throw unexpected("sent an empty GSS token");
      await this.#step(context, message.subarray(9));
    } else {
      throw new AuthenticationError(
        "mechanism",
        `The server asks for another authentication than GSS (its code is ${code}); nothing was answered. Have ` +
          "pg_hba.conf say gss in the line for this user, database and address",
      );
    }
    return false;
  }

  /** What encryption has authenticated is asked for no token; a driver that saw such a message would crash on it. */
  #insideEncryption(code: number): boolean {
    if (code === GSS || code === GSS_CONTINUE || code === SSPI) {
      throw unexpected("asks for GSS authentication again, inside GSS encryption");
    }
    this.#done = code === OK;
    return true;
  }

  #believe(context: SecurityContext, message: Buffer): boolean {
    if (!context.done) {
      throw new AuthenticationError(
        "peer-refused",
        "The server reported success before it had proved who it is; nothing was sent to it. If pg_hba.conf says " +
          "trust in the line for this user, database and address, have it say gss; otherwise this is not the server " +
          "that was meant",
      );
    }
    if (message.length !== 9) throw unexpected("reported success with data where none belongs");
    this.#done = true;
    return true;
  }

  async #step(context: SecurityContext, token: Buffer | null): Promise<void> {
    if (context.done) throw unexpected("sent a GSS token after the last one");
    const { token: answer } = await context.step(token);
    if (answer === null || answer.length === 0) return;
    const message = Buffer.alloc(5 + answer.length, "p");
    message.writeUInt32BE(4 + answer.length, 1);
    message.set(answer, 5);
    await this.#terms.send(message);
  }
}

const IS_IT = "Check that host and port are those of a PostgreSQL server";

function unexpected(what: string): ProtocolError {
  return new ProtocolError("unexpected-message", `The server ${what}. ${IS_IT}`);
}

function printable(type: string): string {
  return /^[ -~]$/.test(type) ? JSON.stringify(type) : `0x${type.charCodeAt(0).toString(16)}`;
}
