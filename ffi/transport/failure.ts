/**
 * Converts socket errors of the runtimes to errors of this library.
 *
 * @module
 */

import { PermissionError, TransportError } from "../../errors.ts";

const ADVICE: { readonly [codeName: string]: string } = {
  ECONNREFUSED: "Is the server running, and listening on this port?",
  EADDRINUSE: "Another process listens there: stop it, or choose another port.",
  EADDRNOTAVAIL: "This machine has no such address.",
  EACCES: "The system reserves this port: choose one above 1023, or run with the privilege to use it.",
  ECONNRESET:
    "The peer closed the connection, or a firewall or another device between the two ends refused it.",
  EPIPE: "The peer no longer reads.",
  ENOTFOUND: "Check the spelling of the name, and the name server.",
  EMFILE: "This process has too many open files: raise the limit, or close what is not needed.",
};

/**
 * Deno's message for a host name that does not resolve, for which it sets no code. It does not match the message for
 * a name server that does not answer. On Windows the message is the system's, in its language, with the number of
 * WSAHOST_NOT_FOUND, and the code is ENOENT.
 */
const UNKNOWN_NAME = /^failed to lookup address information(?!.*temporary)|\(os error 11001\)/i;

/**
 * Whether a runtime refused because the process lacks a permission for the network. Deno's node:net reports a host name
 * that it may not look up as EPERM of getaddrinfo, which no system answers.
 */
export function isDenied(cause: unknown): boolean {
  const { name, code, syscall } = cause as { name?: string; code?: unknown; syscall?: unknown };
  return name === "NotCapable" || code === "ERR_ACCESS_DENIED" ||
    code === "EPERM" && syscall === "getaddrinfo";
}

/**
 * Converts an error that a runtime threw.
 *
 * @param what what failed, for the message: `connect to 127.0.0.1:80`.
 * @param address the address to write in `--allow-net`.
 */
export function socketFailure(cause: unknown, what: string, address: string): Error {
  const { name = "", code, message = "" } = cause as { name?: string; code?: unknown; message?: string };
  if (isDenied(cause)) {
    const flag = code === "ERR_ACCESS_DENIED" ? "--allow-net" : `--allow-net=${address}`;
    return new PermissionError("sockets", flag, `Cannot ${what}: run again with ${flag}`, { cause });
  }
  const codeName = UNKNOWN_NAME.test(message)
    ? "ENOTFOUND"
    : typeof code === "string"
    ? code
    : name || "unknown";
  const detail = message.trim() || codeName;
  const advice = ADVICE[codeName];
  return new TransportError(codeName, `Cannot ${what}: ${detail}${advice ? `. ${advice}` : ""}`, { cause });
}

/** Returns the error for a call on a socket that this end has closed. */
export function closedFailure(what: string): TransportError {
  return new TransportError("closed", `Cannot ${what}: this end has closed the socket`);
}
