/** An LDAP server for tests that binds, says that it is a controller, and then does what the test wants. */

import { Buffer } from "node:buffer";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import { type Element, element, elements, readMessage } from "../../examples/ldap_sasl.ts";
import { saslServer, type SaslServerOptions } from "../../sasl/mod.ts";
import type { Certificate } from "../rig/certificates.ts";

const [SEQUENCE, SET, INTEGER, OCTET_STRING, ENUMERATED] = [0x30, 0x31, 0x02, 0x04, 0x0a];
const CONSTRUCTED = 0x20;
const [BIND, BOUND, SASL, CREDENTIALS] = [0x60, 0x61, 0xa3, 0x87];
const [SEARCH, ENTRY, DONE, UNBIND, EXTENDED, EXTENDED_ANSWER] = [0x63, 0x64, 0x65, 0x42, 0x77, 0x78];

/** Text as an octet string. */
export const text = (value: string): Uint8Array => element(OCTET_STRING, Buffer.from(value));
/** A result (RFC 4511, 4.1.9). */
export const result = (tag: number, code: number, words = ""): Uint8Array =>
  element(tag, element(ENUMERATED, Uint8Array.of(code)), text(""), text(words));
/** The end of a search. */
export const done = (code = 0, words = ""): Uint8Array => result(DONE, code, words);
/** An object. */
export function entry(
  dn: string,
  attributes: Readonly<Record<string, readonly (string | Uint8Array)[]>>,
): Uint8Array {
  const list = Object.entries(attributes).map(([type, values]) =>
    element(
      SEQUENCE,
      text(type),
      element(SET, ...values.map((value) => element(OCTET_STRING, Buffer.from(value as string)))),
    )
  );
  return element(ENTRY, text(dn), element(SEQUENCE, ...list));
}
/** A whole message; `controls` as elements. */
export function message(id: number, operation: Uint8Array, ...controls: Uint8Array[]): Uint8Array {
  const more = controls.length === 0 ? [] : [element(0xa0, ...controls)];
  const number = Uint8Array.of(id >> 24, id >> 16, id >> 8, id);
  return element(SEQUENCE, element(INTEGER, number), operation, ...more);
}
/** The control of paged results with a cookie. */
export function page(cookie: string): Uint8Array {
  const value = element(SEQUENCE, element(INTEGER, Uint8Array.of(0)), text(cookie));
  return element(SEQUENCE, text("1.2.840.113556.1.4.319"), element(OCTET_STRING, value));
}

/** A request after the bind, but the search of the root. */
export interface FakeRequest {
  /** Its message's number. */
  readonly id: number;
  /** Its tag. */
  readonly tag: number;
  /** Its elements. */
  readonly parts: readonly Element[];
  /** The requests before it. */
  readonly count: number;
  /** The stream, protected where the bind says so. */
  readonly stream: Duplex;
}

/** How the server behaves. */
export interface FakeOptions {
  /** How it binds; left out: by name and password. */
  readonly sasl?: SaslServerOptions;
  /** Its certificate, for TLS from the first byte, or with StartTLS. */
  readonly certificate?: Certificate;
  /** Whether TLS begins with StartTLS; what follows the answer in clear text. */
  readonly startTls?: { readonly code?: number; readonly then?: Uint8Array };
  /** What it says of itself, besides what every controller does. */
  readonly root?: Readonly<Record<string, readonly string[]>>;
  /** The result code of a simple bind. */
  readonly simple?: { readonly code: number; readonly words: string };
  /** The answer to every bind, whatever it says. */
  readonly rawBind?: Uint8Array;
  /** Answers the other requests with whole messages. */
  readonly answer?: (request: FakeRequest) => readonly Uint8Array[];
}

/** A running server. */
export interface FakeDirectory extends AsyncDisposable {
  /** Its port on 127.0.0.1. */
  readonly port: number;
  /** The name and the password of each simple bind. */
  readonly binds: readonly string[];
  /** The errors that ended its connections. */
  readonly errors: readonly Error[];
}

const ROOT = {
  defaultNamingContext: ["DC=example,DC=test"],
  configurationNamingContext: ["CN=Configuration,DC=example,DC=test"],
  schemaNamingContext: ["CN=Schema,CN=Configuration,DC=example,DC=test"],
  rootDomainNamingContext: ["DC=example,DC=test"],
  dnsHostName: ["localhost"],
};

/** Starts a server. */
export async function startFakeDirectory(options: FakeOptions): Promise<FakeDirectory> {
  const binds: string[] = [];
  const errors: Error[] = [];
  const sockets = new Set<Socket>();
  const serving: Promise<void>[] = [];
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    const served = serve(socket, options, binds).catch((error) => void errors.push(error)).finally(() =>
      socket.destroy()
    );
    serving.push(served);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as { port: number }).port,
    binds,
    errors,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
      await Promise.all(serving);
    },
  };
}

async function serve(socket: Socket, options: FakeOptions, binds: string[]): Promise<void> {
  let stream: Duplex = socket;
  const { certificate, startTls } = options;
  if (certificate !== undefined && startTls === undefined) stream = await secure(socket, certificate);
  using sasl = options.sasl === undefined ? null : await saslServer(options.sasl);
  for (let count = 0;;) {
    const [number, request] = elements(elements(await readMessage(stream))[0].content);
    const id = number.content.reduce((value, byte) => value * 256 + byte, 0);
    const reply = (operation: Uint8Array) => stream.write(message(id, operation));
    if (request.tag === UNBIND) return;
    if (request.tag === EXTENDED && startTls !== undefined) {
      const answer = message(id, result(EXTENDED_ANSWER, startTls.code ?? 0));
      stream.write(Buffer.concat([answer, startTls.then ?? new Uint8Array()]));
      if (!startTls.code) stream = await secure(socket, certificate!);
      continue;
    }
    const parts = (request.tag & CONSTRUCTED) === 0 ? [] : elements(request.content);
    if (request.tag === BIND && options.rawBind !== undefined) {
      reply(options.rawBind);
      continue;
    }
    if (request.tag === BIND) {
      const choice = parts[2];
      if (choice.tag !== SASL) {
        binds.push(`${Buffer.from(parts[1].content)} ${Buffer.from(choice.content)}`);
        const { code = 0, words = "" } = options.simple ?? {};
        reply(result(BOUND, code, words));
        continue;
      }
      const { challenge, done } = await sasl!.next(new Uint8Array(elements(choice.content)[1].content));
      const more = challenge === null ? [] : [element(CREDENTIALS, challenge)];
      reply(element(BOUND, element(ENUMERATED, Uint8Array.of(done ? 0 : 14)), text(""), text(""), ...more));
      // A client that has gone does not read the answer.
      if (done) stream = sasl!.protect(stream).on("error", () => {});
      continue;
    }
    if (request.tag === SEARCH && parts[0].content.length === 0 && parts[1].content[0] === 0) {
      reply(entry("", { ...ROOT, ...options.root }));
      reply(done());
      continue;
    }
    const given = options.answer?.({ id, tag: request.tag, parts, count: count++, stream }) ?? [];
    if (given.length > 0) stream.write(Buffer.concat([...given]));
  }
}

async function secure(socket: Socket, { key, cert }: Certificate): Promise<TLSSocket> {
  const secured = new TLSSocket(socket, { isServer: true, key, cert });
  secured.on("error", () => {});
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  secured.once("secure", () => resolve());
  for (const end of [secured, socket]) {
    end.once("close", () => reject(new Error("The client ended the connection")));
  }
  await promise;
  return secured;
}
