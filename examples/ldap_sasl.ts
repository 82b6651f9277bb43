/**
 * Binds to an LDAP server as the user who runs it, by SASL GSSAPI or GSS-SPNEGO, and searches with npm's ldapts over the
 * encrypted connection. Active Directory accepts it where it demands strong authentication.
 *
 * ```sh
 * deno run --allow-net --allow-ffi --allow-env examples/ldap_sasl.ts dc1.example.test 389 DC=example,DC=test "(cn=alice)"
 * ```
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { connect, type Socket } from "node:net";
import { once } from "node:events";
import process from "node:process";
import type { Duplex } from "node:stream";
import { Client } from "ldapts";
import { type SaslClient, saslClient } from "@winsock/secure-sockets/sasl";

const [SEQUENCE, INTEGER, OCTET_STRING] = [0x30, 0x02, 0x04];
const [BIND_REQUEST, SASL, SERVER_CREDENTIALS] = [0x60, 0xa3, 0x87];
const [SUCCESS, SASL_BIND_IN_PROGRESS] = [0, 14];
const MAX_MESSAGE = 1 << 20;

/** Binds by SASL on a fresh connection (RFC 4511, 4.2) and gives the stream to go on with. */
export async function saslBind(socket: Socket, sasl: SaslClient): Promise<Duplex> {
  let credentials = await sasl.start();
  for (let id = 1;; id++) {
    socket.write(bindRequest(id, sasl.mechanism, credentials));
    const { code, diagnostics, serverCredentials } = bindResponse(await readMessage(socket));
    if (code === SUCCESS) {
      await sasl.finish(serverCredentials);
      return sasl.protect(socket);
    }
    if (code !== SASL_BIND_IN_PROGRESS) {
      throw new Error(`The server refuses the bind (${code}): ${diagnostics}`);
    }
    credentials = await sasl.next(serverCredentials ?? new Uint8Array());
  }
}

/** A client of ldapts over a stream that is bound already. It does not connect again: that would be without the bind. */
export function ldapClient(stream: Duplex, hostname: string): Client {
  return new Client({
    url: `ldap://${hostname}`,
    createConnection: () => {
      if (stream.destroyed) throw new Error("The connection has ended; bind anew");
      return stream as Socket;
    },
  });
}

/** A BER element of LDAP. */
export interface Element {
  /** Its tag. */
  readonly tag: number;
  /** What is in it. */
  readonly content: Uint8Array;
  /** Where the next element begins. */
  readonly end: number;
}

/** Writes an element. */
export function element(tag: number, ...content: Uint8Array[]): Uint8Array {
  const body = Buffer.concat(content);
  const length = [body.length >> 16, body.length >> 8 & 0xff, body.length & 0xff];
  return Buffer.concat([Uint8Array.of(tag, 0x83, ...length), body]);
}

/** The elements that `bytes` consist of. */
export function elements(bytes: Uint8Array): Element[] {
  const found: Element[] = [];
  for (let at = 0; at < bytes.length;) {
    const next = elementAt(bytes, at);
    if (next === null) throw new Error("The message is not LDAP");
    found.push(next);
    at = next.end;
  }
  return found;
}

function bindRequest(id: number, mechanism: string, credentials: Uint8Array): Uint8Array {
  const choice = element(
    SASL,
    element(OCTET_STRING, Buffer.from(mechanism)),
    element(OCTET_STRING, credentials),
  );
  const version = element(INTEGER, Uint8Array.of(3));
  const bind = element(BIND_REQUEST, version, element(OCTET_STRING), choice);
  return element(SEQUENCE, element(INTEGER, Uint8Array.of(id)), bind);
}

/** The element at `at`; `null` where the bytes end before it does. */
function elementAt(bytes: Uint8Array, at: number): Element | null {
  let length = bytes[at + 1];
  let start = at + 2;
  if (length > 0x80) {
    const count = length - 0x80;
    if (count > 4) throw new Error("The message is not LDAP");
    length = 0;
    for (let index = 0; index < count; index++) length = length * 256 + bytes[start + index];
    start += count;
  }
  if (length > MAX_MESSAGE) throw new Error("The message is too long");
  const end = start + length;
  return end <= bytes.length ? { tag: bytes[at], content: bytes.subarray(start, end), end } : null;
}

function bindResponse(message: Uint8Array) {
  const [, response] = elements(elements(message)[0].content);
  const [code, , diagnostics, ...more] = elements(response.content);
  return {
    code: code.content[0],
    diagnostics: new TextDecoder().decode(diagnostics.content),
    serverCredentials: more.find(({ tag }) => tag === SERVER_CREDENTIALS)?.content ?? null,
  };
}

/** Reads one message; what came after it goes back into the stream. */
export async function readMessage(stream: Duplex): Promise<Uint8Array> {
  let bytes = new Uint8Array();
  for (;;) {
    const chunk: Uint8Array | null = stream.read();
    if (chunk === null) {
      await readable(stream);
      continue;
    }
    bytes = new Uint8Array(Buffer.concat([bytes, chunk]));
    const message = elementAt(bytes, 0);
    if (message === null) continue;
    if (message.end < bytes.length) stream.unshift(bytes.subarray(message.end));
    return bytes.subarray(0, message.end);
  }
}

async function readable(stream: Duplex): Promise<void> {
  if (stream.readableEnded || stream.destroyed) throw new Error("The peer ended the connection");
  const others = new AbortController();
  const { signal } = others;
  await Promise.race(["readable", "end", "close"].map((event) => once(stream, event, { signal })));
  others.abort();
}

if (import.meta.main) {
  const [hostname = "localhost", port = "389", base = "", filter = "(objectClass=*)"] = process.argv.slice(2);
  using sasl = await saslClient({ mechanism: "GSSAPI", target: `ldap/${hostname}` });
  const socket = connect(Number(port), hostname);
  await once(socket, "connect");
  const client = ldapClient(await saslBind(socket, sasl), hostname);
  console.log(`Bound to ${sasl.context.security.peer}, layer ${sasl.layer}`);
  const { searchEntries } = await client.search(base, { scope: "sub", filter });
  for (const { dn } of searchEntries) console.log(dn);
  await client.unbind();
}
