/**
 * The runtimes' socket errors, as errors of this library.
 *
 * @module
 */

import { PermissionError, TransportError } from "../../errors.ts";

const ADVICE: { readonly [codeName: string]: string } = {
  ECONNREFUSED: "Is the server running, and listening on this port?",
  EADDRINUSE: "Another process listens there: stop it, or choose another port.",
  EADDRNOTAVAIL: "This machine has no such address.",
  EACCES: "The system reserves this port: choose one above 1023, or run with the right to use it.",
  ECONNRESET: "The peer went away, or something between refused the connection.",
  EPIPE: "The peer no longer reads.",
  ENOTFOUND: "Check the spelling of the name, and the name server.",
  EMFILE: "This process has too many open files: raise the limit, or close what is not needed.",
};

/**
 * Deno's words for a name that does not resolve, for which it gives no code; not those for a silent name server. On
 * Windows the words are the system's, in its language, the number is WSAHOST_NOT_FOUND, and the code ENOENT.
 */
const UNKNOWN_NAME = /^failed to lookup address information(?!.*temporary)|\(os error 11001\)/i;

/**
 * Translates what a runtime threw.
 *
 * @param what What could not be done, for instance `connect to 127.0.0.1:80`.
 * @param address The address to name in `--allow-net`.
 */
export function socketFailure(cause: unknown, what: string, address: string): Error {
  const { name = "", code, message = "" } = cause as { name?: string; code?: unknown; message?: string };
  if (name === "NotCapable" || code === "ERR_ACCESS_DENIED") {
    const flag = name === "NotCapable" ? `--allow-net=${address}` : "--allow-net";
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

/** The error of a call on a socket that this side has closed. */
export function closedFailure(what: string): TransportError {
  return new TransportError("closed", `Cannot ${what}: this end has closed the socket`);
}
