/**
 * HTTP sign-on with Kerberos and Negotiate (RFC 4559): a fetch that signs on as the user of the process, a server that
 * knows who sent each request, and tunnels through proxies that ask for sign-on.
 *
 * ```ts
 * import { negotiateFetch } from "@winsock/secure-sockets/http";
 *
 * const intranet = negotiateFetch({ origins: ["https://*.corp.example.test"] });
 * const reports = (): Promise<Response> => intranet("https://reports.corp.example.test/today");
 * console.log(typeof reports);
 * ```
 *
 * ```ts
 * import { httpSignOn } from "@winsock/secure-sockets/http";
 *
 * const signOn = await httpSignOn(); // with the key table of this host
 * Deno.serve(signOn.fetch((_request, identity) => new Response(`Hello ${identity.name}`)));
 * ```
 *
 * @module
 */

export { negotiateFetch } from "./client/fetch.ts";
export type { NegotiateFetch } from "./client/fetch.ts";
export type { NegotiateFetchOptions } from "./client/options.ts";
export type { FetchProxy } from "./client/route.ts";
export { connectThroughProxy } from "./proxy/tunnel.ts";
export type { ProxyTunnelOptions } from "./proxy/tunnel.ts";
export { startLocalProxy } from "./proxy/local.ts";
export type { LocalProxy } from "./proxy/local.ts";
export type { LocalProxyOptions, LocalProxyStatus, ProxyEvent, Upstream } from "./proxy/local_options.ts";
export type { ProxySignOnOptions } from "./proxy/sign_on.ts";
export { ProxyError } from "./proxy/errors.ts";
export { SecureSocketError } from "../errors.ts";
export type { ErrorCause } from "../errors.ts";
export { httpSignOn } from "./server/sign_on.ts";
export type { HttpSignOn } from "./server/sign_on.ts";
export type { Certificate, HttpSignOnOptions } from "./server/options.ts";
export type {
  HeaderSource,
  HttpIdentity,
  RefusalReason,
  Refused,
  RequestHead,
  SignedOn,
} from "./server/request.ts";
export type { HonoContext, HttpAdapters } from "./server/adapters.ts";
export type { OpenOptions } from "../contexts/options.ts";
export type { AuthenticationReason } from "../errors.ts";
