/**
 * `connect HOST:PORT [SPN]`: an authenticated connection between the standard streams and a server.
 *
 * @module
 */

import { defineCommand, UsageError } from "./command.ts";
import {
  addressText,
  CONNECTION_OPTIONS,
  connectionTerms,
  parseAddress,
  peerText,
  securityText,
  transfer,
} from "./transfer.ts";

/** The longest time-out that timers can wait for, in seconds. */
const MAX_TIMEOUT_S = 2_147_483;

/** The command. */
export const command = defineCommand({
  usage: "HOST:PORT [SPN]",
  operands: [1, 2],
  description:
    `Sends standard input and prints what the server sends, until both have ended; in a terminal, until the server
has ended. Status goes to standard error.
Nothing is sent unless both ends are authenticated and the connection is encrypted. The SPN defaults to
host/HOST; an IP address needs one.`,
  options: {
    ...CONNECTION_OPTIONS,
    timeout: {
      type: "string",
      value: "SECONDS",
      help: "give up where the connection takes longer (default 30)",
    },
  },
  examples: [
    {
      line: "connect web.example.test:7777",
      text: "type lines to a server, whose SPN is host/web.example.test",
    },
    { line: "connect localhost:7777 HTTP/localhost < request", text: "send a file" },
    { line: "connect [::1]:7777 host/web.example.test --provider kerberos", text: "a server without SPNEGO" },
  ],
  async run({ options, operands: [text, target] }, io) {
    const { hostname, port } = parseAddress(text);
    if (hostname === undefined) throw new UsageError(`${JSON.stringify(text)} names no host: give HOST:PORT`);
    const timeoutMs = readSeconds(options.timeout ?? "30") * 1000;
    const { connect } = await import("../mod.ts");
    const terms = await connectionTerms(options);
    await using conn = await io.waiting(
      `connecting to ${addressText({ hostname, port })}`,
      connect({
        hostname,
        port,
        ...(target === undefined ? {} : { target }),
        ...terms,
        timeoutMs,
        signal: io.signal,
      }),
    );
    if (!options.quiet) {
      await io.note(`connected to ${peerText(conn.security, "a server")} (${securityText(conn.security)})`);
    }
    await transfer(conn, io, io.input());
    return 0;
  },
});

function readSeconds(text: string): number {
  const seconds = Number(text);
  if (/^\d+(\.\d+)?$/.test(text) && seconds > 0 && seconds <= MAX_TIMEOUT_S) return seconds;
  throw new UsageError(`--timeout ${JSON.stringify(text)} is not a number of seconds`);
}
