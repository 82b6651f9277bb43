/**
 * SASL with Kerberos and Negotiate, for clients and servers of LDAP, IMAP, SMTP, Kafka and other protocols: the
 * mechanisms GSSAPI (RFC 4752) and GSS-SPNEGO ([MS-ADTS]), with the security layers none, integrity and confidentiality.
 *
 * ```ts
 * import type { Socket } from "node:net";
 * import { saslClient } from "@winsock/secure-sockets/sasl";
 *
 * async function bind(socket: Socket, send: (response: Uint8Array) => Promise<Uint8Array | null>) {
 *   using sasl = await saslClient({ mechanism: "GSSAPI", target: "ldap/dc1.example.test" });
 *   let challenge = await send(await sasl.start());
 *   while (challenge !== null) challenge = await send(await sasl.next(challenge));
 *   await sasl.finish(); // throws unless the server has proved who it is
 *   return sasl.protect(socket); // every byte encrypted from here on
 * }
 * console.log(typeof bind);
 * ```
 *
 * @module
 */

export { saslClient } from "./client.ts";
export type { SaslClient } from "./client.ts";
export { saslServer } from "./server.ts";
export type { SaslServer, SaslServerStep } from "./server.ts";
export type { SaslExchange } from "./exchange.ts";
export type { SecurityLayer } from "./layers.ts";
export type { SaslClientOptions, SaslMechanism, SaslOptions, SaslServerOptions } from "./options.ts";
