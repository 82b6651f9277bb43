/**
 * Converts error codes of Winsock and Win32 to errors.
 *
 * @module
 */

import { NativeError, TransportError } from "../errors.ts";
import { WINSOCK_STATUS } from "./raw/winsock_status.ts";

/** Returns a code's symbolic name, or a text with the number where it has no name. */
function codeName(code: number): string {
  if (code === 0) return "an error whose code was lost";
  return WINSOCK_STATUS[code]?.name ?? `Win32 error ${code}`;
}

/** Returns the error of a Winsock or Win32 function. Code 0 means that the code was lost; it is still an error. */
export function nativeError(fn: string, code: number): NativeError {
  return new NativeError(fn, code, codeName(code), "");
}

/**
 * Returns the error for a failed call on a socket.
 *
 * @param doing what failed, for the message: `connect to 127.0.0.1:80`.
 * @param more advice for the message, as sentences; default: the code's own advice.
 */
export function socketError(fn: string, code: number, doing: string, more?: string): TransportError {
  const cause = nativeError(fn, code);
  const advice = more ?? WINSOCK_STATUS[code]?.advice;
  const message = `Cannot ${doing}: ${cause.message}${advice ? `. ${advice}` : ""}`;
  return new TransportError(cause.codeName, message, { cause });
}
