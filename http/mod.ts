/**
 * HTTP sign-on with Kerberos and Negotiate (RFC 4559): a server that knows who sent each request, tunnels through proxies
 * that ask for it, and the header fields
 * in which tokens travel.
 *
 * ```ts
 * import { httpSignOn } from "@winsock/secure-sockets/http";
 *
 * const signOn = await httpSignOn(); // with the key table of this host
 * Deno.serve(signOn.fetch((_request, identity) => new Response(`Hello ${identity.name}`)));
 * ```
 *
 * ```ts
 * import { parseChallenges } from "@winsock/secure-sockets/http";
 *
 * const [first, second] = parseChallenges('Basic realm="intranet, west", Negotiate');
 * console.log(first.parameters.get("realm"), second.scheme); // => intranet, west negotiate
 * ```
 *
 * @module
 */

export { parseChallenges } from "./fields.ts";
export type { Challenge } from "./fields.ts";
export { connectThroughProxy } from "./proxy/tunnel.ts";
export type { ProxyTunnelOptions } from "./proxy/tunnel.ts";
export type { ProxySignOnOptions } from "./proxy/sign_on.ts";
export { ProxyError } from "./proxy/errors.ts";
export { SecureSocketError } from "../errors.ts";
export type { ErrorCause } from "../errors.ts";
export { httpSignOn } from "./server/sign_on.ts";
export type { HttpIdentity, HttpSignOn, RefusalReason, Refused, SignedOn } from "./server/sign_on.ts";
export type { Certificate, HttpSignOnOptions } from "./server/options.ts";
export type { HeaderSource, RequestHead } from "./server/request.ts";
export type { HonoContext, HttpAdapters } from "./server/adapters.ts";
export type { OpenOptions } from "../contexts/options.ts";
export type { AuthenticationReason } from "../errors.ts";
