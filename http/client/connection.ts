/**
 * One connection to a server that serves one exchange and nobody else: opened for it, and closed after its answer.
 *
 * @module
 */

import { Agent, type ClientRequest, type IncomingMessage, request as startRequest } from "node:http";
import { connect as connectTcp, isIP, Socket } from "node:net";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { ProtocolError, SecureSocketError, TransportError } from "../../errors.ts";
import { isDenied, socketFailure } from "../../ffi/transport/failure.ts";
import { portOf } from "../proxy/address.ts";
import type { Endpoint, Message, ProxyRoute } from "./route.ts";

/** How connections are made. */
export interface ConnectionTerms {
  /** The way through a proxy; `null`: none. */
  readonly proxy: ProxyRoute | null;
  /** Authorities of certificates to trust in place of the runtime's own. */
  readonly ca?: readonly (string | Uint8Array)[];
}

/** The connection ended before the answer to a request on it began. */
export class LostConnection extends TransportError {}

/** The largest header of an answer: the longest token in base64, and as much again for everything else. */
const MAX_HEADER_BYTES = 192 * 1024;
/** How long a request with `Expect: 100-continue` waits before it sends its body unasked (RFC 9110, 10.1.1). */
const EXPECT_MS = 1000;

/** One connection. It has one owner; closing it twice is harmless. */
export class Connection {
  /** The server's certificate in DER; `null` on plain http. */
  readonly certificate: Uint8Array | null;
  readonly #socket: Socket;
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1, maxFreeSockets: 1 });
  readonly #url: URL;
  /** The proxy that forwards the requests; `null`: none, or a tunnel. */
  readonly #proxy: ProxyRoute | null;
  #taken = false;
  #answered = 0;
  #closed = false;

  private constructor(socket: Socket, url: URL, proxy: ProxyRoute | null, certificate: Uint8Array | null) {
    this.#socket = socket;
    this.#url = url;
    this.#proxy = proxy;
    this.certificate = certificate;
    socket.on("error", () => {});
    // The agent asks once; it asks again where the connection has ended between two requests.
    Object.assign(this.#agent, { createConnection: () => this.#take() });
  }

  /**
   * Opens a connection to the origin of `url`; over TLS only http/1.1 is offered.
   *
   * @throws TransportError if that fails; the reason of `signal`, unchanged.
   */
  static async open(
    url: URL,
    { proxy, ca }: ConnectionTerms,
    signal: AbortSignal,
  ): Promise<Connection> {
    const hostname = url.hostname.replace(/^\[|\]$/g, "");
    const secure = url.protocol === "https:";
    const port = portOf(url);
    if (port === 0) {
      throw new TransportError("failed", `Cannot connect to ${url.origin}: no server listens on port 0`);
    }
    let socket: Socket | undefined;
    try {
      signal.throwIfAborted();
      const to = { hostname, port, signal };
      socket = await (proxy === null ? tcp(to) : secure ? proxy.tunnel(to) : proxy.dial(to));
      // While TLS is put over it, nobody else listens.
      socket.on("error", () => {});
      signal.throwIfAborted();
      if (!secure) return new Connection(socket, url, proxy, null);
      const name = hostname.replace(/\.$/, "");
      const over = connectTls({
        ...{ socket, host: name, ALPNProtocols: ["http/1.1"] },
        ...(isIP(name) ? {} : { servername: name }),
        ...(ca === undefined ? {} : { ca: ca as (string | Buffer)[] }),
      });
      await ready(over, "secureConnect", signal);
      socket = over;
      const { raw } = over.getPeerCertificate(true);
      return new Connection(over, url, null, new Uint8Array(raw));
    } catch (error) {
      socket?.destroy();
      signal.throwIfAborted();
      if (error instanceof SecureSocketError) throw error;
      if (isDenied(error)) throw socketFailure(error, `connect to ${url.origin}`, `${url.hostname}:${port}`);
      throw failed(`connect to ${url.origin}`, error);
    }
  }

  #take(): Socket {
    if (!this.#taken) {
      this.#taken = true;
      return this.#socket;
    }
    const none = new Socket();
    none.on("error", () => {});
    setImmediate(() => none.destroy(new Error("The connection has ended")));
    return none;
  }

  /** Whether a proxy forwards the requests, and may send others' on the same connection to the server. */
  get forwarded(): boolean {
    return this.#proxy !== null;
  }

  /** Whether another request can be sent, once the answer before has been read to its end. */
  get usable(): boolean {
    return !this.#closed && !this.#socket.destroyed && this.#socket.writable && !this.#socket.readableEnded;
  }

  /**
   * Sends a request and resolves with the head of the answer.
   *
   * @throws LostConnection if the connection ends before that; TransportError and ProtocolError for other failures; the
   * reason of `signal`, unchanged.
   */
  async send(message: Message, signal: AbortSignal): Promise<IncomingMessage> {
    if (this.#proxy === null) return await this.#transmit(message, signal);
    try {
      return await this.#proxy.forward(
        this.#url,
        message,
        (message) => this.#transmit(message, signal),
        signal,
      );
    } catch (error) {
      this.close();
      throw error;
    }
  }

  async #transmit(message: Message, signal: AbortSignal): Promise<IncomingMessage> {
    const abort = (): void => this.close();
    signal.addEventListener("abort", abort);
    const before = this.#socket.bytesRead;
    try {
      signal.throwIfAborted();
      const request = startRequest({
        agent: this.#agent,
        method: message.method,
        path: message.target,
        headers: { host: this.#url.host, ...message.headers, ...framing(message), connection: "keep-alive" },
        setHost: false,
        maxHeaderSize: MAX_HEADER_BYTES,
      });
      const answer = await head(request, message, signal);
      this.#answered++;
      return answer;
    } catch (error) {
      this.close();
      signal.throwIfAborted();
      if (error instanceof SecureSocketError) throw error;
      if (`${(error as { code?: unknown }).code}`.startsWith("HPE_")) throw malformed(this.#url.host, error);
      if (this.#answered > 0 && this.#socket.bytesRead === before) {
        throw failed(`get an answer from ${this.#url.host}`, error, LostConnection);
      }
      throw failed(`get an answer from ${this.#url.host}`, error);
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  /** Closes the connection, whatever it is doing. */
  close(): void {
    this.#closed = true;
    this.#agent.destroy();
    this.#socket.destroy();
  }
}

function tcp({ hostname, port, signal }: Endpoint): Promise<Socket> {
  const socket = connectTcp({ host: hostname, port, noDelay: true });
  return ready(socket, "connect", signal);
}

/** Resolves with the socket once it is connected. */
async function ready<T extends Socket | TLSSocket>(
  socket: T,
  event: string,
  signal: AbortSignal,
): Promise<T> {
  const { promise, resolve, reject } = Promise.withResolvers<T>();
  const abort = (): void => reject(signal.reason);
  signal.addEventListener("abort", abort);
  socket.once(event, () => resolve(socket)).once("error", reject)
    .once("close", () => reject(new Error("the peer closed the connection")));
  try {
    return await promise;
  } catch (error) {
    socket.on("error", () => {}).destroy();
    throw error;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

function framing({ method, body }: Message): Record<string, string> {
  if (body instanceof ReadableStream) return { "transfer-encoding": "chunked" };
  if (body !== null) return { "content-length": String(body.length) };
  return ["GET", "HEAD", "OPTIONS", "DELETE", "TRACE"].includes(method) ? {} : { "content-length": "0" };
}

/** Sends the body and resolves with the head of the answer. */
async function head(
  request: ClientRequest,
  message: Message,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const abort = (): void => reject(signal.reason);
  signal.addEventListener("abort", abort);
  request.once("response", resolve).on("error", reject)
    .once("close", () => reject(new Error("the server closed the connection without an answer")))
    .once("upgrade", (_answer, socket) => {
      socket.destroy();
      reject(new Error("the server switched to another protocol, which nobody had asked for"));
    });
  try {
    write(request, message, promise).catch((error) => {
      request.destroy(error);
      reject(error);
    });
    return await promise;
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

async function write(
  request: ClientRequest,
  { headers, body }: Message,
  answer: Promise<unknown>,
): Promise<void> {
  if (body === null) return void request.end();
  if (headers.expect?.toLowerCase() === "100-continue" && !await continued(request, answer)) return;
  if (!(body instanceof ReadableStream)) return void request.end(body);
  const reader = body.getReader();
  const gone = new Promise<void>((resolve) => request.once("close", resolve));
  let ended = false;
  gone.then(() => ended = true);
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) {
      if (ended) break;
      if (!(part.value instanceof Uint8Array)) throw new TypeError("The body's stream must give Uint8Arrays");
      if (!request.write(part.value)) {
        await Promise.race([gone, new Promise<void>((resolve) => request.once("drain", resolve))]);
      }
    }
    if (!ended) request.end();
  } finally {
    if (ended) await reader.cancel().catch(() => {});
    reader.releaseLock();
  }
}

/** Waits until the server wants the body; `false` if it has answered without it. */
async function continued(request: ClientRequest, answer: Promise<unknown>): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  request.once("continue", () => resolve(true));
  request.flushHeaders();
  const timer = setTimeout(() => resolve(true), EXPECT_MS);
  answer.then(() => resolve(false), () => resolve(false));
  return await promise.finally(() => clearTimeout(timer));
}

function failed(what: string, error: unknown, Kind: typeof TransportError = TransportError): TransportError {
  const { code, message } = error as { code?: unknown; message?: string };
  const codeName = typeof code === "string" ? code : "failed";
  const why = codeName === "ECONNRESET" ? "the server closed the connection" : message ?? codeName;
  return new Kind(codeName, `Cannot ${what}: ${why}`, { cause: error });
}

function malformed(host: string, cause: unknown): ProtocolError {
  const { code } = cause as { code: string };
  const text = code === "HPE_HEADER_OVERFLOW"
    ? `The answer of ${host} has a header of more than ${MAX_HEADER_BYTES} bytes; it was not read`
    : `The answer of ${host} does not follow HTTP/1.1 (${code}); the connection was closed`;
  return new ProtocolError(code === "HPE_HEADER_OVERFLOW" ? "oversized" : "malformed", text, { cause });
}
