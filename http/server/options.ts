/**
 * What `httpSignOn` takes, checked before anything native happens.
 *
 * @module
 */

import { bindingBytes, checkBindings } from "../../contexts/channel_bindings.ts";
import { checkFunction, checkInteger, checkKeys, checkTargets, checkTimeout } from "../../contexts/check.ts";
import type { OpenOptions } from "../../contexts/options.ts";
import type { ChannelBindingPolicy } from "../../contract.ts";
import { MAX_TOKEN_BYTES } from "../fields.ts";
import { type AllowedOrigins, checkOrigins } from "./origins.ts";
import type { HeaderSource, Refused, RequestHead } from "./request.ts";

/** A server's certificate: PEM text, or DER. Of several in a PEM text the first is the server's own. */
export type Certificate = string | Uint8Array;

/** Options of {@linkcode httpSignOn}. */
export interface HttpSignOnOptions extends OpenOptions {
  /**
   * The SPNs that a client may request, for instance `["HTTP/web.example.test"]`. Left out: every name of class `HTTP`
   * that the credentials have a key for.
   */
  readonly acceptedTargets?: readonly string[];
  /**
   * Ties each sign-on to the TLS connection it comes by, so that a token that was made for another connection is
   * refused: the certificate that clients see, the proxy's where one ends TLS. A function returns the current one, for
   * certificates that are renewed. `policy` is `"always"` by default, which refuses clients that send no channel
   * bindings; `"whenSupported"` accepts those, and refuses clients that send others.
   */
  readonly channelBindings?: {
    readonly certificate: Certificate | (() => Certificate);
    readonly policy?: ChannelBindingPolicy;
  };
  /**
   * Origins whose pages may send requests that change something, in addition to the server's own; they may also read
   * the answers (CORS). Default: none. `"any"`: the application protects itself from cross-site requests.
   */
  readonly allowedOrigins?: readonly string[] | "any";
  /** Keeps credentials that a client delegates, for `takeDelegated()`. Default `false`: they are closed at once. */
  readonly acceptDelegation?: boolean;
  /** The longest token, in bytes. Default 49,152; at most 65,535. */
  readonly maxTokenBytes?: number;
  /** The most exchanges that wait for their clients' next tokens; the oldest is closed. Default 1,000. */
  readonly maxPending?: number;
  /** How long one exchange may take, in milliseconds. Default 10,000. */
  readonly exchangeTimeoutMs?: number;
  /**
   * Receives each refusal, for a log: the client only learns that it was refused. Left out: `console.warn`, at most one
   * line a second. Not called for a request without a token.
   */
  readonly onRefused?: (refused: Refused, request: RequestHead | HeaderSource) => unknown;
}

/** Checked options. */
export interface Terms {
  readonly open: OpenOptions;
  readonly acceptedTargets?: readonly string[];
  readonly channelBindings?: {
    readonly policy: ChannelBindingPolicy;
    /** The channel bindings of the current certificate. */
    readonly current: () => Promise<Uint8Array>;
  };
  readonly allowedOrigins: AllowedOrigins;
  readonly acceptDelegation: boolean;
  readonly maxTokenBytes: number;
  readonly maxPending: number;
  readonly exchangeTimeoutMs: number;
  readonly onRefused?: HttpSignOnOptions["onRefused"];
}

const OPEN = ["registry", "credentials", "requirements", "system", "signal"];
const OWN = [
  "acceptedTargets",
  "channelBindings",
  "allowedOrigins",
  "acceptDelegation",
  "maxTokenBytes",
  "maxPending",
  "exchangeTimeoutMs",
  "onRefused",
];
const POLICIES: readonly ChannelBindingPolicy[] = ["never", "whenSupported", "always"];
const DEFAULT_TOKEN_BYTES = 48 * 1024;
const DEFAULT_PENDING = 1000;
const MAX_PENDING = 1_000_000;
const DEFAULT_TIMEOUT_MS = 10_000;
const PEM = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/;

/** Checks the options. */
export function readOptions(options: HttpSignOnOptions): Terms {
  checkKeys(options, [...OPEN, ...OWN], "options");
  const { registry, credentials, requirements = {}, system, signal, onRefused } = options;
  if (typeof requirements !== "object" || requirements === null) {
    throw new TypeError("options.requirements must be an object");
  }
  const { acceptedTargets, acceptDelegation = false, maxTokenBytes = DEFAULT_TOKEN_BYTES } = options;
  if (typeof acceptDelegation !== "boolean") {
    throw new TypeError("options.acceptDelegation must be true or false");
  }
  checkFunction(onRefused, "options.onRefused");
  return {
    // Browsers and .NET do not ask the server to prove itself: to require it would refuse them.
    open: {
      ...{ registry, credentials, system, signal },
      requirements: { mutualAuthentication: false, ...requirements },
    },
    ...(acceptedTargets === undefined
      ? {}
      : { acceptedTargets: checkTargets(acceptedTargets, "options.acceptedTargets") }),
    ...(options.channelBindings === undefined
      ? {}
      : { channelBindings: readBindings(options.channelBindings) }),
    allowedOrigins: checkOrigins(options.allowedOrigins),
    acceptDelegation,
    maxTokenBytes: checkInteger(maxTokenBytes, "options.maxTokenBytes", 1024, MAX_TOKEN_BYTES),
    maxPending: checkInteger(options.maxPending ?? DEFAULT_PENDING, "options.maxPending", 1, MAX_PENDING),
    exchangeTimeoutMs: checkTimeout(
      options.exchangeTimeoutMs,
      "options.exchangeTimeoutMs",
      DEFAULT_TIMEOUT_MS,
    ),
    ...(onRefused === undefined ? {} : { onRefused }),
  };
}

function readBindings(given: NonNullable<HttpSignOnOptions["channelBindings"]>): Terms["channelBindings"] {
  checkKeys(given, ["certificate", "policy"], "options.channelBindings");
  const { certificate, policy = "always" } = given;
  if (!POLICIES.includes(policy)) {
    throw new TypeError(`options.channelBindings.policy must be one of ${POLICIES.join(", ")}`);
  }
  const get = typeof certificate === "function" ? certificate : () => certificate;
  let known = get();
  checkCertificate(known);
  let bytes: Promise<Uint8Array> | undefined;
  return {
    policy,
    current: () => {
      const now = get();
      if (bytes === undefined || now !== known) {
        bytes = bindingBytes(checkCertificate(now));
        known = now;
      }
      return bytes;
    },
  };
}

function checkCertificate(given: Certificate): ReturnType<typeof checkBindings> {
  const name = "options.channelBindings.certificate";
  if (typeof given !== "string" && !(given instanceof Uint8Array)) {
    throw new TypeError(
      `${name} must be PEM text, or the certificate in DER, or a function that returns one`,
    );
  }
  const text = typeof given === "string" ? given : new TextDecoder("latin1").decode(given);
  const pem = PEM.exec(text)?.[1];
  if (pem === undefined && typeof given === "string") {
    throw new TypeError(`${name} has no "-----BEGIN CERTIFICATE-----": give the content of the PEM file`);
  }
  const der = pem === undefined
    ? given as Uint8Array
    : Uint8Array.from(atob(pem.replace(/\s/g, "")), (character) => character.charCodeAt(0));
  try {
    return checkBindings({ type: "tls-server-end-point", certificate: der }, name);
  } catch (error) {
    throw new TypeError(`${name}: ${(error as Error).message}`);
  }
}
