/**
 * What a server reads of a request, in the forms of each runtime and framework, and what it answers.
 *
 * @module
 */

import type { Initiator, PeerIdentity, SecurityInfo } from "../../contract.ts";
import type { AuthenticationReason } from "../../errors.ts";

/** Header fields: `Headers`, or an object such as `headers` of node:http. */
export type HeaderSource =
  | Headers
  | { readonly [name: string]: string | readonly string[] | undefined };

/** The part of a request that sign-on reads. `Request` and node:http's `IncomingMessage` have it. */
export interface RequestHead {
  /** The method, in upper case. */
  readonly method?: string;
  /** The header fields. */
  readonly headers: HeaderSource;
  /**
   * The names and values as they were received, one after the other. `headers` of node:http has only the first of
   * several Authorization fields.
   */
  readonly rawHeaders?: readonly string[];
}

/** Who sent a request. */
export interface HttpIdentity extends PeerIdentity {
  /** What was agreed on. */
  readonly security: SecurityInfo;
  /**
   * The credentials that the client delegated, once; the caller closes them. `null`: none.
   *
   * @throws StateError without `acceptDelegation: true`.
   */
  takeDelegated(): Initiator | null;
}

/**
 * Why a request is refused, as a code to branch on.
 *
 * `no-token`: it carries none. `continue`: the exchange goes on with the next request of this connection. `scheme`: it
 * authenticates in another way, for instance `Basic`. `malformed`, `too-large`: its Authorization. `connection`: the
 * exchange takes several tokens, and no connection was given to bind it to. `proxy`: the same, behind a proxy.
 * `cross-origin`: a page of another origin sent it. `anonymous`: the client proves no name. `requirement`: the context
 * is not what was required. `error`: any other error. All others are those of AuthenticationError.
 */
export type RefusalReason =
  | "no-token"
  | "continue"
  | "scheme"
  | "malformed"
  | "too-large"
  | "connection"
  | "proxy"
  | "cross-origin"
  | "anonymous"
  | "requirement"
  | "error"
  | AuthenticationReason;

/** A request that is not signed on, and the answer to it. */
export interface Refused {
  /** Always `false`. */
  readonly signedOn: false;
  /** The status of the answer. It is 401 for every reason that depends on the token's content. */
  readonly status: 400 | 401 | 403 | 431;
  /** The fields of the answer. A name can occur twice. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Why, for a log. */
  readonly reason: RefusalReason;
  /** The error behind it, for a log. */
  readonly error?: unknown;
}

/** A request that is signed on. */
export interface SignedOn extends Disposable {
  /** Always `true`. */
  readonly signedOn: true;
  /** Who sent it. */
  readonly identity: HttpIdentity;
  /** Fields to add to the answer, whatever it is: without them the client cannot check who this server is. */
  readonly headers: readonly (readonly [name: string, value: string])[];
  /** Closes delegated credentials that were not taken. Closing twice is harmless. */
  close(): void;
}

/** Whether only the header fields of a request were given. */
function isFields(given: RequestHead | HeaderSource): given is HeaderSource {
  const { headers } = given as { headers?: unknown };
  return given instanceof Headers || typeof headers !== "object" || headers === null ||
    Array.isArray(headers);
}

/** A request of what an application passes: a request, or its header fields alone. */
export function headOf(given: RequestHead | HeaderSource): RequestHead {
  if (typeof given !== "object" || given === null) {
    throw new TypeError("authenticate() takes a request, or its headers");
  }
  return isFields(given) ? { headers: given } : given;
}

/** The values of all fields with this name, which is in lower case. */
export function valuesOf({ headers, rawHeaders }: RequestHead, name: string): readonly string[] {
  if (rawHeaders !== undefined) {
    return rawHeaders.filter((_, index) => index % 2 === 1 && rawHeaders[index - 1].toLowerCase() === name);
  }
  if (headers instanceof Headers) {
    const value = headers.get(name);
    return value === null ? [] : [value];
  }
  return Object.keys(headers).filter((key) => key.toLowerCase() === name).flatMap((key) =>
    headers[key] ?? []
  );
}

/** Fields that a proxy adds: other clients' requests may come by the same connection. */
const OF_PROXIES = ["via", "forwarded", "x-forwarded-for", "x-real-ip"];

/** The field with which a proxy says that it passed the request on; `undefined`: none did. */
export function proxyField(head: RequestHead): string | undefined {
  return OF_PROXIES.find((name) => valuesOf(head, name).length > 0);
}
