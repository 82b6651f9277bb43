/**
 * `listen [HOST:]PORT`: a server that connects the standard streams to authenticated clients.
 *
 * @module
 */

import type { SecureConn } from "../mod.ts";
import { defineCommand } from "./command.ts";
import type { Io } from "./io.ts";
import {
  addressText,
  CONNECTION_OPTIONS,
  connectionTerms,
  parseAddress,
  peerText,
  securityText,
  transfer,
} from "./transfer.ts";

/** The command. */
export const command = defineCommand({
  usage: "[HOST:]PORT",
  operands: [1, 1],
  description:
    `Waits for one client, prints what it sends and sends it standard input, until both have ended; in a terminal,
until the client has ended. With --keep nothing is sent. Status and refused clients go to standard error.
Without --accept, a client may ask for any service that this account has a key for. Anyone with an account in
the realm is let in: who it is stands on standard error.`,
  options: {
    accept: {
      type: "string",
      value: "SPN",
      multiple: true,
      help: "accept only clients that ask for this service",
    },
    echo: { type: "boolean", help: "send clients what they send, instead of standard input" },
    keep: { type: "boolean", short: "k", help: "serve one client after another, and send them nothing" },
    ...CONNECTION_OPTIONS,
  },
  examples: [
    { line: "listen 7777 --accept host/web.example.test", text: "wait for a client on every IPv4 address" },
    { line: "listen localhost:7777 --echo --keep", text: "a server to try clients with" },
    { line: "listen 7777 --keytab /etc/web.keytab > received", text: "keep what a client sends" },
  ],
  async run({ options, operands: [text] }, io) {
    const { hostname, port } = parseAddress(text);
    const { listen } = await import("../mod.ts");
    await using listener = await listen({
      ...(hostname === undefined ? {} : { hostname }),
      port,
      ...(options.accept === undefined ? {} : { acceptedTargets: options.accept }),
      ...await connectionTerms(options),
      signal: io.signal,
      onHandshakeError: (error, { remoteAddr }) => {
        const from = remoteAddr === undefined ? "a client" : addressText(remoteAddr);
        io.note(`refused ${from}: ${(error as Error).message}`);
      },
    });
    const note = async (line: string): Promise<void> => {
      if (!options.quiet) await io.note(line);
    };
    await note(`listening on ${addressText(listener.addr)}`);
    do {
      await using conn = await io.waiting("waiting for a client", listener.accept());
      const from = conn.remoteAddr === null ? "" : ` from ${addressText(conn.remoteAddr)}`;
      await note(`${peerText(conn.security, "a client")} connected${from} (${securityText(conn.security)})`);
      try {
        await (options.echo ? echo(conn, io) : transfer(conn, io, options.keep ? null : io.input()));
        await note(`${peerText(conn.security, "the client")} ended`);
      } catch (error) {
        io.signal.throwIfAborted();
        if (!options.keep || (error as Error).name === "BrokenPipe") throw error;
        await io.note(`lost ${peerText(conn.security, "the client")}: ${(error as Error).message}`);
      }
    } while (options.keep);
    return 0;
  },
});

async function echo(conn: SecureConn, io: Io): Promise<void> {
  await conn.readable.pipeTo(conn.writable, { signal: io.signal });
}
