/**
 * Requests of plain http through a proxy: each on a connection of its own, with a token of its own.
 *
 * @module
 */

import { type IncomingMessage, request, type RequestOptions, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { SecurityContext } from "../../contract.ts";
import { TransportError } from "../../errors.ts";
import type { ProxyAddress } from "./address.ts";
import { type ProxySignOn, verifyAnswer } from "./sign_on.ts";
import { closeSoon } from "./answers.ts";
import { relay, transportError } from "./dial.ts";
import { challengeFields, MAX_ANSWER_HEADER, refusedSignOn } from "./tunnel.ts";

/** Fields that are between two neighbours (RFC 9110, section 7.6.1), and what concerns a proxy alone. */
const HOP_BY_HOP = new Set([
  ...["connection", "keep-alive", "te", "transfer-encoding", "upgrade", "proxy-connection", "http2-settings"],
  ...["proxy-authorization", "proxy-authenticate", "proxy-authentication-info"],
]);

/** A request on its way. */
export interface Forwarding {
  readonly incoming: IncomingMessage;
  readonly url: URL;
  /** The proxy; `null`: `socket` leads to the host itself. */
  readonly proxy: ProxyAddress | null;
  /** The connection, which is used for this request alone and closed with it. */
  readonly socket: Socket;
  readonly signOn: ProxySignOn;
  /** The value of Via. */
  readonly via: string;
  readonly signal: AbortSignal;
}

/**
 * Forwards a request and its content, and passes on the answer.
 *
 * @returns once the answer is complete, or either end is gone.
 * @throws before the first byte of the answer was sent: AuthenticationError, TransportError, ProtocolError.
 */
export async function forward(forwarding: Forwarding, response: ServerResponse): Promise<void> {
  const { incoming, socket } = forwarding;
  const context = await begin(forwarding);
  try {
    const outgoing = ask(forwarding, context?.field);
    outgoing.on("continue", () => response.writeContinue());
    response.once("close", () => socket.destroy());
    if (hasContent(incoming)) {
      outgoing.flushHeaders();
      incoming.on("error", () => socket.destroy());
      incoming.pipe(outgoing);
    } else outgoing.end();
    const { answer } = await answered(outgoing, forwarding);
    await accept(answer, forwarding, context?.context);
    const { promise, resolve } = Promise.withResolvers<void>();
    response.once("close", resolve);
    response.sendDate = false;
    response.writeHead(answer.statusCode!, answer.statusMessage, endToEnd(answer.rawHeaders) as never);
    // A content that ends early must not look complete.
    answer.on("error", () => response.destroy());
    answer.pipe(response);
    await promise;
  } finally {
    context?.context.close();
    socket.destroy();
    // What the client still sends is read and dropped: its next request is behind it.
    incoming.unpipe();
    incoming.resume();
  }
}

/**
 * Forwards a request to change the protocol, such as to WebSocket, and then passes on the bytes of both ends.
 *
 * @param client the client's connection, from which nothing was read after the request.
 */
export async function forwardUpgrade(forwarding: Forwarding, client: Duplex): Promise<void> {
  const { socket } = forwarding;
  const context = await begin(forwarding);
  try {
    const protocol = forwarding.incoming.headers.upgrade;
    const outgoing = ask(forwarding, context?.field, protocol);
    outgoing.end();
    const { answer, head } = await answered(outgoing, forwarding);
    await accept(answer, forwarding, context?.context);
    const changed = head === null ? ["Connection", "close"] : ["Connection", "Upgrade", "Upgrade", protocol!];
    const lines = [`HTTP/1.1 ${answer.statusCode} ${answer.statusMessage}`];
    const fields = [...endToEnd(answer.rawHeaders), ...changed];
    for (let at = 0; at < fields.length; at += 2) lines.push(`${fields[at]}: ${fields[at + 1]}`);
    client.write(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
    if (head === null) {
      // Its end is the end of the connection.
      answer.on("error", () => client.destroy());
      answer.pipe(client);
      closeSoon(client);
      await new Promise<void>((resolve) => client.once("close", () => resolve()));
      return;
    }
    if (head.length > 0) socket.unshift(head);
    await relay(client, socket);
  } finally {
    context?.context.close();
    socket.destroy();
  }
}

async function begin({ proxy, signOn, signal, socket }: Forwarding) {
  try {
    return proxy === null ? null : await signOn.begin(proxy.target, signal);
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

function hasContent({ headers }: IncomingMessage): boolean {
  return headers["transfer-encoding"] !== undefined || (headers["content-length"] ?? "0") !== "0";
}

function ask({ incoming, url, proxy, socket, via, signal }: Forwarding, field?: string, upgrade?: string) {
  const { headers } = incoming;
  const fields = ["Host", url.host, ...endToEnd(incoming.rawHeaders, ["host", "via"])];
  fields.push("Via", headers.via === undefined ? via : `${headers.via}, ${via}`);
  if (field !== undefined) fields.push("Proxy-Authorization", field);
  if (headers["transfer-encoding"] !== undefined) fields.push("Transfer-Encoding", "chunked");
  if (upgrade === undefined) fields.push("Connection", "close");
  else fields.push("Connection", "Upgrade", "Upgrade", upgrade);
  url.hash = "";
  return request({
    createConnection: () => socket,
    method: incoming.method,
    path: proxy === null ? `${url.pathname}${url.search}` : url.href,
    headers: fields,
    setDefaultHeaders: false,
    setHost: false,
    maxHeaderSize: MAX_ANSWER_HEADER,
    signal,
  } as unknown as RequestOptions);
}

/** The fields that are meant for the other end. */
function endToEnd(rawHeaders: readonly string[], without: readonly string[] = []): string[] {
  const dropped = new Set(without);
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at].toLowerCase() !== "connection") continue;
    for (const name of rawHeaders[at + 1].split(",")) dropped.add(name.trim().toLowerCase());
  }
  const kept: string[] = [];
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const name = rawHeaders[at].toLowerCase();
    // The length of the content is not a connection's to drop.
    if (HOP_BY_HOP.has(name) || (dropped.has(name) && name !== "content-length")) continue;
    kept.push(rawHeaders[at], rawHeaders[at + 1]);
  }
  return kept;
}

interface Answered {
  readonly answer: IncomingMessage;
  /** What came after the header of an answer that changes the protocol; `null` for any other. */
  readonly head: Uint8Array | null;
}

function answered(
  outgoing: ReturnType<typeof request>,
  { proxy, url, signal }: Forwarding,
): Promise<Answered> {
  const { promise, resolve, reject } = Promise.withResolvers<Answered>();
  const what = `get ${url.origin}${proxy === null ? "" : ` through proxy ${proxy.label}`}`;
  outgoing.once("response", (answer) => resolve({ answer, head: null }));
  outgoing.once("upgrade", (answer, _socket, head) => resolve({ answer, head }));
  outgoing.on("error", (error) => reject(signal.aborted ? signal.reason : transportError(what, error)));
  outgoing.once(
    "close",
    () => reject(new TransportError("closed", `Cannot ${what}: the connection was closed`)),
  );
  return promise;
}

/** Verifies a proxy's answer. */
async function accept(
  answer: IncomingMessage,
  { proxy }: Forwarding,
  context: SecurityContext | undefined,
): Promise<void> {
  if (proxy === null || context === undefined) return;
  if (answer.statusCode === 407) throw refusedSignOn(answer, proxy.label, proxy.target);
  await verifyAnswer(context, challengeFields(answer));
}
