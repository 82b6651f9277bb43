/**
 * Requests that a page of another origin has a browser send: browsers sign on by themselves, so such a request acts as
 * the user who looks at that page.
 *
 * @module
 */

import { type RequestHead, valuesOf } from "./request.ts";

/** Methods that change nothing (RFC 9110, section 9.2.1). */
const SAFE = ["GET", "HEAD", "OPTIONS", "TRACE"];

/** The origins whose pages may send requests that change something; `any`: no request is refused for its origin. */
export type AllowedOrigins = ReadonlySet<string> | "any";

/** Checks `allowedOrigins`. */
export function checkOrigins(value: unknown): AllowedOrigins {
  if (value === undefined) return new Set();
  if (value === "any") return "any";
  if (!Array.isArray(value)) {
    throw new TypeError(
      'options.allowedOrigins must be a list such as ["https://app.example.test"], or "any"',
    );
  }
  return new Set(value.map((origin, index) => {
    const parsed = typeof origin === "string" && URL.canParse(origin) ? new URL(origin).origin : "null";
    if (parsed !== "null" && parsed === origin) return parsed;
    throw new TypeError(
      `options.allowedOrigins[${index}] must be an origin as browsers send it, such as ` +
        `"https://app.example.test": scheme, host, and the port where it is not the scheme's own`,
    );
  }));
}

/**
 * Whether a page of an origin that is not allowed has a browser send this request, where it changes something or opens
 * a WebSocket.
 *
 * Sec-Fetch-Site decides, which pages cannot set. Browsers that do not send it send Origin, which is compared with
 * Host. A request with neither comes from another kind of client.
 */
export function isCrossOrigin(head: RequestHead, allowed: AllowedOrigins): boolean {
  if (allowed === "any") return false;
  if (SAFE.includes(head.method ?? "GET") && valuesOf(head, "upgrade").length === 0) return false;
  const origins = valuesOf(head, "origin");
  if (origins.length === 1 && allowed.has(origins[0])) return false;
  const sites = valuesOf(head, "sec-fetch-site");
  if (sites.length > 0) return !sites.every((site) => site === "same-origin" || site === "none");
  const [host] = valuesOf(head, "host");
  return origins.some((origin) => !URL.canParse(origin) || new URL(origin).host !== host?.toLowerCase());
}

/** The fields with which a page of an allowed origin may read the answer. */
export function corsFields(head: RequestHead, allowed: AllowedOrigins): [string, string][] {
  const origins = valuesOf(head, "origin");
  if (allowed === "any" || origins.length !== 1 || !allowed.has(origins[0])) return [];
  return [
    ["access-control-allow-origin", origins[0]],
    ["access-control-allow-credentials", "true"],
    ["vary", "Origin"],
  ];
}

/** The answer to a preflight of an allowed origin, which browsers send without credentials; `null`: it is not one. */
export function preflightFields(head: RequestHead, allowed: AllowedOrigins): [string, string][] | null {
  const [method] = valuesOf(head, "access-control-request-method");
  if (head.method !== "OPTIONS" || method === undefined) return null;
  const fields = corsFields(head, allowed);
  if (fields.length === 0) return null;
  const headers = valuesOf(head, "access-control-request-headers");
  return [
    ...fields,
    ["access-control-allow-methods", method],
    ...headers.map((names): [string, string] => ["access-control-allow-headers", names]),
  ];
}
