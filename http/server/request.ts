/**
 * What a server reads of a request: its method and its header fields, in the forms of each runtime and framework.
 *
 * @module
 */

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
