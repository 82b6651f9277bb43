/**
 * The records of [MS-NNS], the protocol of .NET's NegotiateStream, as pure functions over bytes.
 *
 * A handshake record is an id, a version (1, 0), a big-endian u16 size and a token. A data record is a
 * little-endian u32 size and the output of the provider's wrap. No record marks the end of the stream.
 *
 * @see https://learn.microsoft.com/openspecs/windows_protocols/ms-nns
 *
 * @module
 */

import { ProtocolError } from "../errors.ts";

/** What a handshake record says about its sender: complete, failed, or waiting for another token. */
export type HandshakeKind = "done" | "error" | "in-progress";

/** A decoded header of a handshake record. */
export interface HandshakeHeader {
  /** What the record says about its sender. */
  readonly kind: HandshakeKind;
  /** The size of the token that follows the header, in bytes. */
  readonly size: number;
}

/** The size of a handshake record's header, in bytes. */
export const HANDSHAKE_HEADER_SIZE = 5;
/** The size of a data record's header, in bytes. */
export const DATA_HEADER_SIZE = 4;
/** The longest token a handshake record can carry, in bytes. */
const MAX_TOKEN_SIZE = 0xffff;
/** The longest wrapped message to send in one record, in bytes. */
export const MAX_SENT_SIZE = 0xfc30;
/** The longest wrapped message to accept, in bytes: .NET sends up to 0xFC3C with AES. */
export const MAX_RECEIVED_SIZE = 0x10000;

const IDS: { readonly [Kind in HandshakeKind]: number } = { done: 0x14, error: 0x15, "in-progress": 0x16 };
const KINDS = new Map(Object.entries(IDS).map(([kind, id]) => [id, kind as HandshakeKind]));

/** Encodes one handshake record. */
export function encodeHandshake(kind: HandshakeKind, token: Uint8Array): Uint8Array {
  if (token.length > MAX_TOKEN_SIZE) {
    throw new ProtocolError(
      "oversized",
      `The provider made a token of ${token.length} bytes; a handshake record carries at most ` +
        `${MAX_TOKEN_SIZE}`,
    );
  }
  const record = new Uint8Array(HANDSHAKE_HEADER_SIZE + token.length);
  record.set([IDS[kind], 1, 0, token.length >> 8, token.length & 0xff]);
  record.set(token, HANDSHAKE_HEADER_SIZE);
  return record;
}

/** Decodes the header at the start of `bytes`. The version is not checked, as the specification demands. */
export function decodeHandshakeHeader(bytes: Uint8Array): HandshakeHeader {
  const kind = KINDS.get(bytes[0]);
  if (!kind) {
    const start = String.fromCharCode(...bytes.subarray(0, HANDSHAKE_HEADER_SIZE));
    if (HTTP.test(start)) throw speaksOther("HTTP", "check the port");
    throw new ProtocolError(
      "malformed",
      `The peer did not send a handshake record (first byte 0x${hex(bytes[0])}); is it a ` +
        "NegotiateStream peer?",
    );
  }
  return { kind, size: bytes[3] << 8 | bytes[4] };
}

/** The start of an HTTP request or response, HTTP/2 included. */
const HTTP = /^(GET |HEAD |POST |PUT |PATCH|DELET|OPTIO|TRACE|CONNE|PRI \*|HTTP\/)/;
const TLS_MAJOR_VERSION = 3;
const TLS_HELLOS = [1, 2];

/**
 * Refuses a TLS record. Its header decodes as a handshake record because the ids are the same, but the version
 * differs and a token never begins like a TLS hello; a TLS alert is 2 bytes long, an error record of [MS-NNS] 8.
 *
 * @throws ProtocolError if it is a TLS record.
 */
export function refuseTls(header: Uint8Array, token: Uint8Array): void {
  if (header[1] !== TLS_MAJOR_VERSION) return;
  const hello = header[0] === IDS["in-progress"] && TLS_HELLOS.includes(token[0]);
  const alert = header[0] === IDS.error && token.length === 2;
  if (hello || alert) {
    throw speaksOther("TLS", "connect without TLS, or run secure() inside TLS on both ends");
  }
}

function speaksOther(protocol: string, fix: string): ProtocolError {
  return new ProtocolError(
    "malformed",
    `The peer uses ${protocol}, but this end uses the NegotiateStream protocol: ${fix}`,
  );
}

/** Encodes the payload of an error record: the code in 8 bytes, big-endian. */
export function encodeErrorCode(code: number): Uint8Array {
  const payload = new Uint8Array(8);
  new DataView(payload.buffer).setUint32(4, code);
  return payload;
}

/**
 * Decodes the code of an error record's payload; `null` if the payload has no known form.
 *
 * .NET Framework and .NET up to 6 write it big-endian, .NET 7 and later little-endian; negative codes may be
 * extended to 64 bits.
 */
export function decodeErrorCode(payload: Uint8Array): number | null {
  if (payload.length < 8) return null;
  const view = new DataView(payload.buffer, payload.byteOffset, 8);
  const isExtension = (word: number) => word === 0 || word === 0xffffffff;
  if (isExtension(view.getUint32(0))) return view.getUint32(4);
  return isExtension(view.getUint32(4)) ? view.getUint32(0, true) : null;
}

/** Writes a data record's header at `offset`. */
export function writeDataHeader(bytes: Uint8Array, offset: number, size: number): void {
  for (let index = 0; index < DATA_HEADER_SIZE; index++) bytes[offset + index] = size >>> (8 * index);
}

/** Reads the size of the wrapped message from the data record's header at `offset`. */
export function readDataHeader(bytes: Uint8Array, offset: number): number {
  const size =
    (bytes[offset] | bytes[offset + 1] << 8 | bytes[offset + 2] << 16 | bytes[offset + 3] << 24) >>> 0;
  if (size === 0) {
    throw new ProtocolError("empty", "The peer sent an empty record, which has no protection");
  }
  if (size > MAX_RECEIVED_SIZE) {
    throw new ProtocolError(
      "oversized",
      `The peer announced a record of ${size} bytes; at most ${MAX_RECEIVED_SIZE} are accepted`,
    );
  }
  return size;
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, "0");
}
