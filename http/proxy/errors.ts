/**
 * Why a proxy could not be used, and what to do about it.
 *
 * @module
 */

import { AuthenticationError, type ErrorCause, SecureSocketError } from "../../errors.ts";

/** A proxy refused to make a connection, for another reason than the sign-on. */
export class ProxyError extends SecureSocketError {
  /** Always `"ProxyError"`. */
  override readonly name = "ProxyError";
  /** Always `"PROXY"`. */
  readonly code = "PROXY";
  /** The status of the proxy's answer. */
  readonly status: number;

  /** Builds the error; the message says what to do. */
  constructor(status: number, message: string, options?: ErrorCause) {
    super(message, options);
    this.status = status;
  }
}

/** Builds the error for the answer to CONNECT that is not a success. */
export function refusedConnect(label: string, wanted: string, status: number): ProxyError {
  return new ProxyError(
    status,
    `Cannot connect to ${wanted}: proxy ${label} answered ${status}. ${advice(status)}`,
  );
}

function advice(status: number): string {
  switch (status) {
    case 400:
    case 431:
      return "The ticket may be too large for the proxy: raise its limit of request header fields, or use an " +
        "account with fewer groups";
    case 403:
    case 405:
      return "The proxy does not allow this host or port: ask its administrator";
    case 502:
    case 503:
    case 504:
      return "The proxy cannot reach the host: check the name and the port";
    default:
      return "See the log of the proxy";
  }
}

/** Builds the error for a proxy that did not accept a token. */
export function refusedToken(label: string, target: string): AuthenticationError {
  return new AuthenticationError(
    "peer-refused",
    `Cannot sign on to proxy ${label}: it refused the token for ${target} (407). Check that the proxy has the key ` +
      "of this name (give target where it has another), and that its clock is right",
  );
}

/** Builds the error for a proxy that asks for something else than Negotiate. */
export function otherSchemes(label: string, schemes: readonly string[]): AuthenticationError {
  const offered = schemes.length === 0 ? "nothing" : schemes.join(", ");
  return new AuthenticationError(
    "mechanism",
    `Cannot sign on to proxy ${label}: it offers ${offered}, and not Negotiate. Ask its administrator to enable ` +
      "Negotiate (Kerberos)",
  );
}
