/**
 * Sends a mail as the user who runs it, with npm's nodemailer and SASL GSSAPI in place of a password.
 *
 * ```sh
 * deno run --allow-net --allow-ffi --allow-env --allow-sys examples/smtp_sasl.ts mail.example.test 587 bob@example.test
 * ```
 *
 * @module
 */

import { Buffer } from "node:buffer";
import process from "node:process";
import nodemailer from "nodemailer";
import { saslClient, type SaslClientOptions } from "@winsock/secure-sockets/sasl";

/** The part of nodemailer's context used here. */
interface AuthContext {
  sendCommand(command: string): Promise<{ status: number; text: string; response: string }>;
}

/** An authentication method of nodemailer: `AUTH GSSAPI` of RFC 4954. */
export function gssapi(options: Omit<SaslClientOptions, "mechanism">) {
  return async (smtp: AuthContext): Promise<void> => {
    using sasl = await saslClient({ ...options, mechanism: "GSSAPI" });
    const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("base64");
    let reply = await smtp.sendCommand(`AUTH GSSAPI ${base64(await sasl.start())}`);
    while (reply.status === 334) {
      const challenge = Buffer.from(reply.response.slice(4).trim(), "base64");
      reply = await smtp.sendCommand(base64(await sasl.next(challenge)));
    }
    if (reply.status !== 235) throw new Error(`The server refuses: ${reply.response}`);
    await sasl.finish(); // throws unless the server has proved who it is
  };
}

/** A transport of nodemailer that authenticates by Kerberos. `secure` and STARTTLS protect what follows. */
export function transport(
  hostname: string,
  port: number,
  options: Omit<SaslClientOptions, "mechanism">,
  tls: { ignoreTLS?: boolean } = {},
) {
  return nodemailer.createTransport(
    {
      host: hostname,
      port,
      ...tls,
      auth: { type: "custom", method: "GSSAPI", user: "" },
      customAuth: { GSSAPI: gssapi(options) },
    } as Parameters<typeof nodemailer.createTransport>[0],
  );
}

if (import.meta.main) {
  const [first, ...rest] = process.argv.slice(2);
  const ignoreTLS = first === "--without-tls";
  const [hostname = "localhost", port = "587", to] = ignoreTLS ? rest : [first, ...rest];
  // TLS protects the mail itself, so SASL puts no layer around it.
  const options = { target: `smtp/${hostname}`, layers: ["none"] } as const;
  const smtp = transport(hostname, Number(port), options, { ignoreTLS });
  if (to === undefined) console.log(`Authenticated: ${await smtp.verify()}`);
  else console.log((await smtp.sendMail({ to, from: to, subject: "hello", text: "hello" })).response);
  smtp.close();
}
