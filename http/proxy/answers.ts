/**
 * What a local proxy says itself: refusals, failures, and its status page.
 *
 * @module
 */

import type { ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { TimeoutError } from "../../errors.ts";
import { ProxyError } from "./errors.ts";
import type { LocalProxyStatus } from "./local_options.ts";

/** Answers on a connection that the parser has released, and closes it. */
export function answerOn(socket: Duplex, status: number, text: string, fields: readonly string[] = []): void {
  if (!socket.writable) return void socket.destroy();
  const content = new TextEncoder().encode(`${text}\n`);
  const lines = [`HTTP/1.1 ${status} ${status === 407 ? "Proxy Authentication Required" : "Refused"}`];
  lines.push(
    "Content-Type: text/plain; charset=utf-8",
    `Content-Length: ${content.length}`,
    "Connection: close",
  );
  for (let at = 0; at < fields.length; at += 2) lines.push(`${fields[at]}: ${fields[at + 1]}`);
  socket.write(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
  closeSoon(socket);
  socket.end(content);
}

/** Closes a connection once all is written and its client has ended, or some seconds later. */
export function closeSoon(socket: Duplex): void {
  // What the client still sends is read and dropped: else its system would drop the answer.
  socket.resume();
  let timer: ReturnType<typeof setTimeout> | undefined;
  socket.once("finish", () => {
    if (socket.readableEnded) socket.destroy();
    else {
      socket.once("end", () => socket.destroy());
      timer = setTimeout(() => socket.destroy(), CLOSING_MS);
    }
  });
  socket.once("close", () => clearTimeout(timer));
}

/** How long a client may take to close its connection. */
const CLOSING_MS = 5000;
/** The challenge where a token is required. */
export const BASIC = 'Basic realm="secure-sockets proxy", charset="UTF-8"';

/** Answers a request. */
export function respond(
  response: ServerResponse,
  status: number,
  text: string,
  fields: readonly string[] = [],
): void {
  const body = new TextEncoder().encode(text);
  response.writeHead(status, [
    ...["Content-Type", text.startsWith("{") ? "application/json" : "text/plain; charset=utf-8"],
    ...[
      "Content-Length",
      String(body.length),
      "Cache-Control",
      "no-store",
      "X-Content-Type-Options",
      "nosniff",
    ],
    ...[
      "Cross-Origin-Resource-Policy",
      "same-origin",
      "Content-Security-Policy",
      "default-src 'none'; sandbox",
    ],
    ...(status === 200 ? [] : ["Connection", "close"]),
    ...fields,
  ] as never);
  response.end(body);
}

/** The status, as text. */
export function statusPage(url: string, status: LocalProxyStatus): string {
  const { upstreams, since, connections, tunnels, served, failed, lastFailure } = status;
  const lines = [
    `secure-sockets proxy at ${url}, since ${since.toISOString()}`,
    "",
    ...upstreams.map(({ name, down }) => `upstream     ${name}${down ? " (could not be reached)" : ""}`),
    `connections  ${connections}`,
    `tunnels      ${tunnels}`,
    `served       ${served}`,
    `failed       ${failed}`,
  ];
  if (lastFailure !== undefined) {
    lines.push(
      `last failure ${lastFailure.time.toISOString()} ${lastFailure.destination}`,
      lastFailure.message,
    );
  }
  return `${lines.join("\n")}\n`;
}

/** The status of the answer for a failure. */
export function statusOf(error: unknown): number {
  if (error instanceof TimeoutError) return 504;
  if (!(error instanceof ProxyError)) return 502;
  // What the proxy says of the host is passed on; what it says of the sign-on is not the client's to answer.
  return error.status >= 400 && error.status < 600 && error.status !== 401 ? error.status : 502;
}
