/** The part of an LDAP server that binds with SASL and answers a search with the bound peer. */

import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { Buffer } from "node:buffer";
import type { Duplex } from "node:stream";
import { element, elements, readMessage } from "../../examples/ldap_sasl.ts";
import { saslServer, type SaslServerOptions } from "../../sasl/mod.ts";

/** A running server. */
export interface LdapServer extends AsyncDisposable {
  /** Its port on 127.0.0.1. */
  readonly port: number;
  /** `peer layer` of each completed bind, in order. */
  readonly binds: readonly string[];
  /** The errors that ended connections. */
  readonly errors: readonly Error[];
}

const [SEQUENCE, SET, INTEGER, OCTET_STRING, ENUMERATED] = [0x30, 0x31, 0x02, 0x04, 0x0a];
const [BIND, BOUND, SASL, CREDENTIALS] = [0x60, 0x61, 0xa3, 0x87];
const [SEARCH, ENTRY, DONE, UNBIND] = [0x63, 0x64, 0x65, 0x42];
const [SUCCESS, IN_PROGRESS, INVALID_CREDENTIALS] = [0, 14, 49];
const text = (value: string): Uint8Array => element(OCTET_STRING, Buffer.from(value));

/** Starts a server; each bind is a separate exchange. */
export async function startLdapServer(options: SaslServerOptions): Promise<LdapServer> {
  const binds: string[] = [];
  const errors: Error[] = [];
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    serve(socket, options, binds).catch((error) => errors.push(error)).finally(() => socket.destroy());
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
    },
  };
}

async function serve(socket: Socket, options: SaslServerOptions, binds: string[]): Promise<void> {
  using sasl = await saslServer(options);
  let stream: Duplex = socket;
  let peer = "";
  for (;;) {
    const [id, request] = elements(elements(await readMessage(stream))[0].content);
    const reply = (tag: number, ...content: Uint8Array[]): unknown =>
      stream.write(element(SEQUENCE, element(INTEGER, id.content), element(tag, ...content)));
    const result = (code: number) => [element(ENUMERATED, Uint8Array.of(code)), text(""), text("")];
    if (request.tag === UNBIND) return;
    if (request.tag === SEARCH) {
      const values = element(SEQUENCE, text("description"), element(SET, text(peer)));
      reply(ENTRY, text("cn=peer"), element(SEQUENCE, values));
      reply(DONE, ...result(SUCCESS));
      continue;
    }
    const choice = elements(request.content).at(-1)!;
    if (request.tag !== BIND || choice.tag !== SASL) throw new Error("That is not a SASL bind");
    const credentials = elements(choice.content)[1]?.content ?? new Uint8Array();
    try {
      const { challenge, done } = await sasl.next(new Uint8Array(credentials));
      const more = challenge === null ? [] : [element(CREDENTIALS, challenge)];
      reply(BOUND, ...result(done ? SUCCESS : IN_PROGRESS), ...more);
      if (!done) continue;
      ({ name: peer } = sasl.peer);
      binds.push(`${peer} ${sasl.layer}`);
      stream = sasl.protect(socket);
    } catch (error) {
      reply(BOUND, ...result(INVALID_CREDENTIALS));
      throw error;
    }
  }
}
