/**
 * Asks a Kerberos server for its time, with a request that needs no account: RFC 4120's AS-REQ for the well-known
 * anonymous principal. The server answers it with an error, in which its clock is.
 *
 * @see https://www.rfc-editor.org/rfc/rfc4120#section-5.4.1 and 5.9.1
 * @module
 */

import { connect } from "node:net";

const SEQUENCE = 0x30, INTEGER = 2, BIT_STRING = 3, GENERALIZED_TIME = 0x18, GENERAL_STRING = 0x1b;
const AS_REQ = 0x6a, AS_REP = 0x6b, KRB_ERROR = 0x7e;
/** The encryption types that are offered: those of RFC 8009, RFC 3962 and, last, RC4. */
const ENCTYPES = [20, 19, 18, 17, 23];
/** Nothing that answers a request without an account is longer. */
const MAX_ANSWER = 65_536;

/** The answer of a Kerberos server. */
export interface KdcAnswer {
  /** Its clock; left out where it answered without one. */
  readonly time?: Date;
  /** The error code of RFC 4120; left out where it issued a ticket. */
  readonly error?: number;
}

/** Returns an AS-REQ for `WELLKNOWN/ANONYMOUS` in `realm`. */
export function timeRequest(realm: string, nonce: number): Uint8Array {
  const name = (type: number, ...parts: string[]): number[] =>
    der(
      SEQUENCE,
      field(0, integer(type)),
      field(1, der(SEQUENCE, ...parts.map((part) => der(GENERAL_STRING, text(part))))),
    );
  const body = der(
    SEQUENCE,
    field(0, der(BIT_STRING, [0, 0, 0, 0, 0])),
    field(1, name(11, "WELLKNOWN", "ANONYMOUS")),
    field(2, der(GENERAL_STRING, text(realm))),
    field(3, name(2, "krbtgt", realm)),
    field(5, der(GENERALIZED_TIME, text("20370913024805Z"))),
    field(7, integer(nonce)),
    field(8, der(SEQUENCE, ...ENCTYPES.map(integer))),
  );
  return Uint8Array.from(
    der(AS_REQ, der(SEQUENCE, field(1, integer(5)), field(2, integer(10)), field(4, body))),
  );
}

/** Reads an answer; `null` where it is not Kerberos's. */
export function readAnswer(bytes: Uint8Array): KdcAnswer | null {
  const [message] = elements(bytes) ?? [];
  if (message?.tag === AS_REP) return {};
  if (message?.tag !== KRB_ERROR) return null;
  const [sequence] = elements(message.contents) ?? [];
  if (sequence?.tag !== SEQUENCE) return null;
  const inside = (number: number): Element | undefined => {
    const found = elements(sequence.contents)?.find(({ tag }) => tag === 0xa0 + number);
    return found && elements(found.contents)?.[0];
  };
  const time = inside(4), micros = inside(5), error = inside(6);
  if (time?.tag !== GENERALIZED_TIME || error?.tag !== INTEGER) return null;
  const written = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(String.fromCharCode(...time.contents));
  if (!written) return null;
  const [year, month, ...rest] = written.slice(1).map(Number);
  const millis = micros?.tag === INTEGER ? Math.floor(number(micros.contents) / 1000) : 0;
  const [day, hour, minute, second] = rest;
  return {
    time: new Date(Date.UTC(year, month - 1, day, hour, minute, second, millis)),
    error: number(error.contents),
  };
}

/**
 * Asks the server at an address over TCP.
 *
 * @throws the error of the socket; Error where it answers something else.
 */
export function askKdc(
  hostname: string,
  port: number,
  realm: string,
  signal: AbortSignal,
): Promise<KdcAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<KdcAnswer>();
  const socket = connect({ host: hostname, port });
  let received = new Uint8Array(0);
  const stop = (): void => reject(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  socket.on("error", reject);
  socket.on("close", () => reject(new Error("it closed the connection without an answer")));
  socket.on("connect", () => {
    const request = timeRequest(realm, 1 + Math.floor(Math.random() * 0x7fff_fffe));
    const framed = new Uint8Array(4 + request.length);
    new DataView(framed.buffer).setUint32(0, request.length);
    framed.set(request, 4);
    socket.write(framed);
  });
  socket.on("data", (bytes: Uint8Array) => {
    const all = new Uint8Array(received.length + bytes.length);
    all.set(received);
    all.set(bytes, received.length);
    received = all;
    const length = received.length < 4 ? null : new DataView(received.buffer).getUint32(0);
    if (length === null || length <= MAX_ANSWER && received.length < 4 + length) return;
    const answer = length > MAX_ANSWER ? null : readAnswer(received.subarray(4, 4 + length));
    if (answer === null) reject(new Error("what answers there is not a Kerberos server"));
    else resolve(answer);
  });
  return promise.finally(() => {
    signal.removeEventListener("abort", stop);
    socket.destroy();
  });
}

function text(value: string): number[] {
  return [...new TextEncoder().encode(value)];
}

function integer(value: number): number[] {
  const bytes = [value >>> 24, value >>> 16, value >>> 8, value].map((byte) => byte & 0xff);
  while (bytes.length > 1 && bytes[0] === 0 && bytes[1] < 0x80) bytes.shift();
  return der(INTEGER, bytes);
}

function field(number: number, contents: number[]): number[] {
  return der(0xa0 + number, contents);
}

function der(tag: number, ...parts: number[][]): number[] {
  const contents = parts.flat();
  const { length } = contents;
  const head = length < 0x80
    ? [length]
    : length < 0x100
    ? [0x81, length]
    : [0x82, length >> 8, length & 0xff];
  return [tag, ...head, ...contents];
}

function number(bytes: Uint8Array): number {
  return bytes.reduce((value, byte) => value * 256 + byte, 0);
}

interface Element {
  readonly tag: number;
  readonly contents: Uint8Array;
}

/** The elements of these bytes, up to the last; `null` where they are not DER with tags of one byte. */
function elements(bytes: Uint8Array): Element[] | null {
  const found: Element[] = [];
  for (let at = 0; at < bytes.length;) {
    const tag = bytes[at++];
    let length = bytes[at++] ?? 0xff;
    if (length >= 0x80) {
      const size = length & 0x7f;
      if (size < 1 || size > 2 || at + size > bytes.length) return null;
      length = number(bytes.subarray(at, at += size));
    }
    if ((tag & 0x1f) === 0x1f || length > bytes.length - at) return null;
    found.push({ tag, contents: bytes.subarray(at, at += length) });
  }
  return found;
}
