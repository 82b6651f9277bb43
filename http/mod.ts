/**
 * HTTP sign-on with Kerberos and Negotiate (RFC 4559): the header fields in which tokens travel.
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
