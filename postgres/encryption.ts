/**
 * PostgreSQL's GSS encryption: its request, the exchange of tokens, and the records that carry everything after.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { SecurityContext } from "../contract.ts";
import { AuthenticationError, ProtocolError, SecurityRequirementError } from "../errors.ts";
import type { Incoming } from "./incoming.ts";

/** A record's longest body: 16,384 bytes with its length. */
export const MAX_RECORD = 16_384 - 4;
/** A token's longest body: 65,536 bytes with its length. */
export const MAX_TOKEN = 65_536 - 4;
/** So many records are made before they are sent: the memory of a long write is bounded. */
const RECORDS_AT_ONCE = 16;

/** GSSENCRequest. */
export const REQUEST: Uint8Array = Uint8Array.of(0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30);

/** Sends bytes to the server. */
export type Send = (bytes: Uint8Array) => Promise<void>;

/**
 * Asks the server for GSS encryption; false where it has none.
 *
 * @throws AuthenticationError or ProtocolError where it answers anything else. Its words are never shown: nobody has
 * authenticated them (CVE-2024-10977).
 */
export async function requestEncryption(incoming: Incoming, send: Send): Promise<boolean> {
  await send(REQUEST);
  const [answer] = await incoming.must(1, "its answer to the request for GSS encryption");
  // What came with it came before anything protects it, and must not be taken for what comes after.
  if (incoming.waiting > 0 && (answer === 0x47 || answer === 0x4e)) {
    throw new ProtocolError(
      "unexpected-message",
      "More than one byte answers the request for GSS encryption: somebody may have put the rest there. Nothing was sent",
    );
  }
  if (answer === 0x47) return true;
  if (answer === 0x4e) return false;
  if (answer === 0x45) {
    throw new AuthenticationError(
      "peer-refused",
      "The server answers the request for GSS encryption with an error, which is not shown because nothing " +
        "authenticates it: read the server's log. PostgreSQL knows the request since version 12",
    );
  }
  throw new ProtocolError(
    "unexpected-message",
    `The request for GSS encryption is answered by 0x${
      answer.toString(16).padStart(2, "0")
    }, not by G or N. ` +
      "Check that host and port are those of a PostgreSQL server",
  );
}

/** The error where encryption is required and the server has none. */
export function noEncryption(): SecurityRequirementError {
  return new SecurityRequirementError(
    "confidentiality",
    "none",
    "The server has no GSS encryption (it answers N); nothing was sent. Use a server that is built with GSSAPI, or " +
      'give encryption: "disable" where something else protects the connection',
  );
}

/** Exchanges tokens until the server has proved who it is and everything required is verified. */
export async function establish(context: SecurityContext, incoming: Incoming, send: Send): Promise<void> {
  let { token, done } = await context.step();
  for (;;) {
    if (token !== null && token.length > 0) await send(prefixed(token));
    if (done) return;
    const header = await incoming.read(4, "a token");
    // PostgreSQL closes the connection. An ErrorResponse would have a letter where a token has its length.
    if (header === null || header[0] === 0x45) {
      throw new AuthenticationError(
        header === null ? "peer-closed" : "peer-refused",
        "The server refused the token and does not say why, or nothing authenticates what it says: read the server's " +
          "log. Its key table (krb_server_keyfile) must hold a current key of the target",
      );
    }
    const length = checkLength(header, MAX_TOKEN, "token");
    ({ token, done } = await context.step(await incoming.must(length, "a token")));
  }
}

/** Records over an established context. */
export class Records {
  readonly #context: SecurityContext;
  readonly #limit: number;

  /** @throws ProtocolError where the mechanism's records are longer than PostgreSQL's. */
  constructor(context: SecurityContext) {
    this.#context = context;
    this.#limit = context.wrapSizeLimit(MAX_RECORD, { encrypt: true });
    if (this.#limit < 1) {
      throw new ProtocolError("oversized", `No record of the mechanism is as short as ${MAX_RECORD} bytes`);
    }
  }

  /** Encrypts `data` and sends it, record by record. */
  async send(data: Uint8Array, send: Send): Promise<void> {
    for (let at = 0; at < data.length; at += RECORDS_AT_ONCE * this.#limit) {
      await send(this.#seal(data.subarray(at, at + RECORDS_AT_ONCE * this.#limit)));
    }
  }

  #seal(data: Uint8Array): Uint8Array {
    const { maxOverhead } = this.#context;
    const count = Math.ceil(data.length / this.#limit);
    const out = Buffer.alloc(data.length + count * (4 + maxOverhead));
    let filled = 0;
    for (let at = 0; at < data.length; at += this.#limit) {
      const part = data.subarray(at, at + this.#limit);
      const into = out.subarray(filled + 4, filled + 4 + part.length + maxOverhead);
      const record = this.#context.wrap(part, { encrypt: true, into });
      if (record.length > MAX_RECORD) {
        throw new ProtocolError("oversized", `The mechanism made a record of ${record.length} bytes`);
      }
      out.set(record, filled + 4);
      out.writeUInt32BE(record.length, filled);
      filled += 4 + record.length;
    }
    return out.subarray(0, filled);
  }

  /** The data of the next record; `null` where the connection ended before it. */
  async receive(incoming: Incoming): Promise<Buffer | null> {
    const header = await incoming.read(4, "a record");
    if (header === null) return null;
    const record = await incoming.must(checkLength(header, MAX_RECORD, "record"), "a record");
    const { data } = this.#context.unwrap(record);
    return Buffer.from(data.buffer, data.byteOffset, data.length);
  }
}

function prefixed(token: Uint8Array): Uint8Array {
  const out = Buffer.alloc(4 + token.length);
  out.writeUInt32BE(token.length);
  out.set(token, 4);
  return out;
}

function checkLength(header: Buffer, max: number, what: string): number {
  const length = header.readUInt32BE(0);
  if (length > 0 && length <= max) return length;
  throw new ProtocolError(
    length === 0 ? "empty" : "oversized",
    `The server announces a ${what} of ${length} bytes; PostgreSQL's have from 1 to ${max}. The connection is closed`,
  );
}
