/**
 * `connectThroughProxy()`: a tunnel through a proxy that asks for Negotiate (RFC 4559), made by CONNECT (RFC 9110,
 * section 9.3.6) with a token of its own.
 *
 * @module
 */

import { type IncomingMessage, request, type RequestOptions } from "node:http";
import type { Socket } from "node:net";
import { checkKeys, checkMethod, checkSignal, checkTimeout, describe } from "../../contexts/check.ts";
import type { SecurityContext } from "../../contract.ts";
import { checkCredentials } from "../../credentials.ts";
import { AuthenticationError, ProtocolError, TransportError } from "../../errors.ts";
import { Deadline } from "../../sockets/deadline.ts";
import { parseChallenges } from "../fields.ts";
import { type Destination, destination, hostAndPort, type ProxyAddress, proxyAddress } from "./address.ts";
import { dial, ignore, transportError } from "./dial.ts";
import { otherSchemes, refusedConnect, refusedToken } from "./errors.ts";
import { answerToken, ProxySignOn, type ProxySignOnOptions, verifyAnswer } from "./sign_on.ts";

/** The longest header of a proxy's answer, in bytes. */
export const MAX_ANSWER_HEADER = 64 * 1024;
const CONNECT_TIMEOUT_MS = 30_000;

/** Options of {@linkcode connectThroughProxy}. */
export interface ProxyTunnelOptions extends ProxySignOnOptions {
  /** The URL of the proxy: `http://proxy.example.test:8080`, or `https://` where the proxy itself takes TLS. */
  readonly proxy: string | URL;
  /** The host to reach: its name, which the proxy resolves, or its address. */
  readonly host: string;
  /** The port to reach. */
  readonly port: number;
  /** The proxy's SPN. Left out: `HTTP/` and the host of `proxy` as typed; an IP address needs one. */
  readonly target?: string;
  /** Certificates of the authorities that a proxy of `https://` may have its certificate from; left out: the system's. */
  readonly ca?: string | Uint8Array;
  /** The time until the tunnel stands. Default 30,000. A tunnel that stands has no limit. */
  readonly timeoutMs?: number;
  /** Abandons the attempt; its reason is rethrown unchanged. A tunnel that stands is the caller's. */
  readonly signal?: AbortSignal;
}

/**
 * Makes a tunnel to `host:port` through a proxy that asks for Negotiate, signed on as the logged-in user. What is sent
 * through the tunnel is not protected by the sign-on: put TLS on it.
 *
 * Each call makes a token of its own: a proxy with a replay cache refuses one that it has seen. A proxy does not prove
 * its identity in its answer to CONNECT; if the answer has a token, the token is verified.
 *
 * @returns the connection, paused, at the first byte of the host's. The caller closes it.
 * @throws TypeError or RangeError if an option is wrong; nothing was opened.
 * @throws AuthenticationError if there is no ticket, the proxy refuses it, or does not offer Negotiate.
 * @throws ProxyError with the status if the proxy does not make the connection.
 * @throws TransportError if the proxy cannot be reached, TimeoutError after `timeoutMs`, ProtocolError if its answer
 * is malformed; the reason of `signal`.
 *
 * @example
 * ```ts
 * import { connect } from "node:tls";
 * import { connectThroughProxy } from "@winsock/secure-sockets/http";
 *
 * const proxy = "http://proxy.example.test:8080";
 * const socket = await connectThroughProxy({ proxy, host: "web.example.com", port: 443 });
 * const secured = connect({ socket, servername: "web.example.com" });
 * secured.end();
 * ```
 */
export async function connectThroughProxy(options: ProxyTunnelOptions): Promise<Socket> {
  checkKeys(options, [
    ...["proxy", "host", "port", "target", "ca", "timeoutMs", "signal"],
    ...["registry", "credentials", "system"],
  ], "options");
  const proxy = proxyAddress(options.proxy, options.target, "options.proxy");
  const wanted = destination(options.host, options.port);
  const timeoutMs = checkTimeout(options.timeoutMs, "options.timeoutMs", CONNECT_TIMEOUT_MS);
  const signal = checkSignal(options.signal, "options.signal");
  const signOn = new ProxySignOn(checkSignOn(options));
  try {
    return await openTunnel({ proxy, wanted, signOn, timeoutMs, signal, ca: checkAuthorities(options.ca) });
  } finally {
    signOn.close();
  }
}

/** Checks the options that say who to be. */
export function checkSignOn({ registry, credentials, system }: ProxySignOnOptions): ProxySignOnOptions {
  if (registry !== undefined) checkMethod(registry, "options.registry", "select");
  if (system !== undefined) checkMethod(system, "options.system", "capabilities");
  return {
    registry,
    system,
    credentials: credentials === undefined ? undefined : checkCredentials(credentials, "options.credentials"),
  };
}

/** Checks certificates of authorities. */
export function checkAuthorities(ca: unknown): string | Uint8Array | undefined {
  if (ca === undefined || typeof ca === "string" || ca instanceof Uint8Array) return ca;
  throw new TypeError(`options.ca must be certificates in PEM, not ${describe(ca)}`);
}

/** What a tunnel is made with. */
export interface TunnelTerms {
  readonly proxy: ProxyAddress;
  readonly wanted: Destination;
  readonly signOn: ProxySignOn;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  readonly ca?: string | Uint8Array;
  /** The value of Via. */
  readonly via?: string;
}

/** As {@linkcode connectThroughProxy}, with checked options. */
export async function openTunnel(terms: TunnelTerms): Promise<Socket> {
  const { proxy, wanted, signOn, timeoutMs, signal, ca } = terms;
  const what = `connect to ${hostAndPort(wanted)} through proxy ${proxy.label}`;
  const deadline = new Deadline(signal, `The attempt to ${what}`, timeoutMs);
  let socket: Socket | undefined;
  let context: SecurityContext | undefined;
  try {
    socket = await dial(proxy, ca, deadline.signal);
    const begun = await signOn.begin(proxy.target, deadline.signal);
    context = begun.context;
    const { response, head } = await askToConnect(socket, terms, begun.field, deadline.signal);
    await checkAnswer(response, context, proxy, wanted);
    if (head.length > 0) socket.unshift(head);
    if (socket.destroyed) throw closedBy(proxy.label);
    // From here on its errors are the caller's.
    socket.off("error", ignore);
    return socket;
  } catch (error) {
    socket?.destroy();
    throw error;
  } finally {
    deadline.end();
    context?.close();
  }
}

function closedBy(label: string): TransportError {
  return new TransportError("closed", `Proxy ${label} closed the connection. See its log`);
}

interface ConnectAnswer {
  readonly response: IncomingMessage;
  readonly head: Uint8Array;
}

async function askToConnect(
  socket: Socket,
  { proxy: { label }, wanted, via }: TunnelTerms,
  field: string,
  signal: AbortSignal,
): Promise<ConnectAnswer> {
  const path = hostAndPort(wanted);
  const { promise, resolve, reject } = Promise.withResolvers<ConnectAnswer>();
  const asking = request({
    createConnection: () => socket,
    method: "CONNECT",
    path,
    headers: ["Host", path, ...(via === undefined ? [] : ["Via", via]), "Proxy-Authorization", field],
    setDefaultHeaders: false,
    maxHeaderSize: MAX_ANSWER_HEADER,
    signal,
    // Types of Node 24 lack the form of headers that keeps their spelling.
  } as unknown as RequestOptions);
  asking.once("connect", (response, _socket, head) => resolve({ response, head }));
  asking.on("error", reject);
  asking.once("close", () => reject(closedBy(label)));
  asking.end();
  try {
    return await promise;
  } catch (error) {
    if (signal.aborted) throw signal.reason;
    throw transportError(`connect to ${path} through proxy ${label}`, error);
  }
}

async function checkAnswer(
  response: IncomingMessage,
  context: SecurityContext,
  { label, target }: ProxyAddress,
  wanted: Destination,
): Promise<void> {
  const status = response.statusCode ?? 0;
  if (status >= 200 && status < 300) return await verifyAnswer(context, challengeFields(response));
  if (status === 407) throw refusedSignOn(response, label, target);
  if (status < 200) {
    throw new ProtocolError(
      "unexpected-message",
      `Proxy ${label} answered ${status} to CONNECT; expected 200`,
    );
  }
  throw refusedConnect(label, hostAndPort(wanted), status);
}

/** Builds the error for an answer of status 407. */
export function refusedSignOn(response: IncomingMessage, label: string, target: string): Error {
  const fields = challengeFields(response);
  const token = answerToken(fields);
  if (token === undefined) {
    return otherSchemes(label, [...new Set(parseChallenges(fields).map(({ scheme }) => scheme))]);
  }
  if (token === null) return refusedToken(label, target);
  return new AuthenticationError(
    "mechanism",
    `Cannot sign on to proxy ${label}: it asks for further tokens, and Kerberos needs one. Check that it has the key ` +
      `of ${target}`,
  );
}

/** The lines of the fields in which a proxy's tokens are. */
export function challengeFields({ rawHeaders }: IncomingMessage): string[] {
  const fields: string[] = [];
  for (let at = 0; at + 1 < rawHeaders.length; at += 2) {
    if (/^proxy-auth(enticate|entication-info)$/i.test(rawHeaders[at])) fields.push(rawHeaders[at + 1]);
  }
  return fields;
}
