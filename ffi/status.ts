/**
 * Codes of Winsock and Win32 turned into errors.
 *
 * @module
 */

import { NativeError, TransportError } from "../errors.ts";
import { WINSOCK_STATUS } from "./raw/winsock_status.ts";

/** A code's symbolic name, or how one writes a code without a name. */
function codeName(code: number): string {
  if (code === 0) return "an error whose code was lost";
  return WINSOCK_STATUS[code]?.name ?? `Win32 error ${code}`;
}

/** What a Winsock or Win32 function answered. A code that was lost is 0, and an error all the same. */
export function nativeError(fn: string, code: number): NativeError {
  return new NativeError(fn, code, codeName(code), "");
}

/**
 * The error for a call on a socket that failed.
 *
 * @param doing what could not be done, for instance `connect to 127.0.0.1:80`.
 * @param more what else to say of it, as sentences.
 */
export function socketError(fn: string, code: number, doing: string, more?: string): TransportError {
  const cause = nativeError(fn, code);
  const advice = more ?? WINSOCK_STATUS[code]?.advice;
  const message = `Cannot ${doing}: ${cause.message}${advice ? `. ${advice}` : ""}`;
  return new TransportError(cause.codeName, message, { cause });
}
