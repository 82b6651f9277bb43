/**
 * The way through a proxy that is signed on to: a tunnel for https, and forwarded requests for plain http.
 *
 * @module
 */

import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import { checkKeys } from "../../contexts/check.ts";
import { destination, proxyAddress } from "../proxy/address.ts";
import { ProxySignOn, type ProxySignOnOptions, verifyAnswer } from "../proxy/sign_on.ts";
import { dial } from "../proxy/dial.ts";
import { challengeFields, checkAuthorities, openTunnel, refusedSignOn } from "../proxy/tunnel.ts";
import type { Body } from "./bodies.ts";

/** A proxy, and how it is signed on to. */
export interface FetchProxy {
  /** Its URL: `http://proxy.example.test:8080`, or `https://` where the proxy itself takes TLS. */
  readonly url: string | URL;
  /** Its SPN. Left out: `HTTP/` and its host; an IP address needs one. */
  readonly target?: string;
  /** Authorities that a proxy of `https://` may have its certificate from, in PEM; left out: the runtime's own. */
  readonly ca?: string | Uint8Array;
}

const TUNNEL_TIMEOUT_MS = 30_000;

/** Where a connection goes. */
export interface Endpoint {
  /** The server's name or address, without brackets. */
  readonly hostname: string;
  /** Its port. */
  readonly port: number;
  /** Abandons the attempt. */
  readonly signal: AbortSignal;
}

/** A request, as it is sent. */
export interface Message {
  readonly method: string;
  /** The request target: path and query, or the whole URL to a proxy. */
  readonly target: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Body;
}

/** The way through one proxy. One owner; closing twice is harmless. */
export class ProxyRoute {
  readonly #address: ReturnType<typeof proxyAddress>;
  readonly #ca: string | Uint8Array | undefined;
  readonly #signOn: ProxySignOn;

  /** @throws TypeError if `proxy` is not the URL of a proxy, or has no target. */
  constructor(proxy: string | URL | FetchProxy, options: ProxySignOnOptions) {
    const given = typeof proxy === "string" || proxy instanceof URL ? { url: proxy } : proxy;
    checkKeys(given, ["url", "target", "ca"], "options.proxy");
    this.#address = proxyAddress(given.url, given.target, "options.proxy");
    this.#ca = checkAuthorities(given.ca);
    this.#signOn = new ProxySignOn(options);
  }

  /** Makes a tunnel by CONNECT, with a token of its own. */
  tunnel({ hostname, port, signal }: Endpoint): Promise<Socket> {
    return openTunnel({
      proxy: this.#address,
      wanted: destination(hostname, port),
      signOn: this.#signOn,
      timeoutMs: TUNNEL_TIMEOUT_MS,
      ca: this.#ca,
      signal,
    });
  }

  /** Connects to the proxy itself. */
  dial({ signal }: Endpoint): Promise<Socket> {
    return dial(this.#address, this.#ca, signal);
  }

  /**
   * Sends a request of plain http that the proxy forwards, with a token of its own for the proxy.
   *
   * @throws AuthenticationError if the proxy refuses the token.
   */
  async forward(
    url: URL,
    message: Message,
    send: (message: Message) => Promise<IncomingMessage>,
    signal: AbortSignal,
  ): Promise<IncomingMessage> {
    const { label, target } = this.#address;
    const { context, field } = await this.#signOn.begin(target, signal);
    try {
      const headers = { ...message.headers, "proxy-authorization": field };
      const answer = await send({ ...message, target: `${url.origin}${message.target}`, headers });
      if (answer.statusCode === 407) throw refusedSignOn(answer, label, target);
      await verifyAnswer(context, challengeFields(answer));
      return answer;
    } finally {
      context.close();
    }
  }

  /** Releases the credentials. */
  close(): void {
    this.#signOn.close();
  }
}
