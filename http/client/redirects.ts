/**
 * Redirects, followed by hand: each hop is a request of its own, signed on to only if its origin is listed.
 *
 * @module
 */

import type { IncomingMessage } from "node:http";
import { ProtocolError, SecurityRequirementError } from "../../errors.ts";
import type { Asked } from "./exchange.ts";

/** The most redirects of one request, as in the Fetch standard. */
export const MAX_REDIRECTS = 20;
const STATUSES = [301, 302, 303, 307, 308];
/** What describes a body. */
const OF_BODY = ["content-encoding", "content-language", "content-location", "content-type"];
/** What is for one origin only. */
const OF_ORIGIN = ["authorization", "proxy-authorization", "cookie"];

/**
 * The next request, if `answer` is a redirect; otherwise `null`.
 *
 * @throws TypeError if the body is a stream, which is gone; ProtocolError and SecurityRequirementError if the redirect
 * leads to something that must not be followed.
 */
export function redirected(asked: Asked, answer: IncomingMessage): Asked | null {
  const { location } = answer.headers;
  if (!STATUSES.includes(answer.statusCode!) || location === undefined) return null;
  const url = URL.parse(location, asked.url);
  if (url === null || !/^https?:$/.test(url.protocol)) {
    throw refused(asked, "to an address that is not http or https");
  }
  if (url.username !== "" || url.password !== "") {
    throw refused(asked, "to an address with a user name or password");
  }
  if (asked.url.protocol === "https:" && url.protocol === "http:") {
    throw new SecurityRequirementError(
      "https",
      "http",
      `${asked.url.origin} redirects from https to http, which is not followed. Correct the server, or set ` +
        'redirect: "manual" and decide yourself',
    );
  }
  if (url.hash === "") url.hash = asked.url.hash;
  const headers = new Headers(asked.headers);
  if (url.origin !== asked.url.origin) { for (const name of OF_ORIGIN) headers.delete(name); }
  const { statusCode } = answer;
  const toGet = statusCode === 303
    ? !["GET", "HEAD"].includes(asked.method)
    : (statusCode === 301 || statusCode === 302) && asked.method === "POST";
  if (toGet) {
    for (const name of OF_BODY) headers.delete(name);
    return { ...asked, url, headers, method: "GET", body: null };
  }
  if (asked.body instanceof ReadableStream) {
    throw new TypeError(
      `${asked.url.origin} redirects a request whose body is a stream, which cannot be sent twice. Give the body as a ` +
        "string, bytes or a Blob",
    );
  }
  return { ...asked, url, headers };
}

function refused(asked: Asked, what: string): ProtocolError {
  return new ProtocolError("unexpected-message", `${asked.url.origin} redirects ${what}; it is not followed`);
}
