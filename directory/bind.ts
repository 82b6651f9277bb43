/**
 * What is said on an LDAP connection before its first operation: StartTLS and the bind (RFC 4511, 4.2 and 4.14).
 *
 * @module
 */

import { Buffer } from "node:buffer";
import type { Duplex } from "node:stream";
import { AuthenticationError, ProtocolError, TransportError } from "../errors.ts";
import type { SaslClient } from "../sasl/mod.ts";
import { element, MessageReader } from "./ber.ts";
import { readMessage, readResult } from "./ldap_messages.ts";
import { directoryError, type Result, SUCCESS } from "./results.ts";

const [SEQUENCE, INTEGER, OCTET_STRING] = [0x30, 0x02, 0x04];
const [BIND_REQUEST, BIND_RESPONSE, SIMPLE, SASL, SERVER_CREDENTIALS] = [0x60, 0x61, 0x80, 0xa3, 0x87];
const [EXTENDED_REQUEST, EXTENDED_RESPONSE, REQUEST_NAME] = [0x77, 0x78, 0x80];
const START_TLS = "1.3.6.1.4.1.1466.20037";
const SASL_BIND_IN_PROGRESS = 14;
const STRONGER_AUTH_REQUIRED = 8;
const INVALID_CREDENTIALS = 49;
/** The longest answer to take of a server that has not proved its name; a token has at most 48 KiB. */
const MAX_ANSWER = 128 * 1024;
/** Kerberos takes one message, NTLM two; more is a server that does not come to an end. */
const MAX_ROUNDS = 10;

/** The server's answer. */
interface Answer extends Result {
  readonly credentials: Uint8Array | null;
}

/** Asks for TLS. The caller puts it over the connection; nothing may arrive before that (RFC 4511, 4.14.2). */
export async function startTls(socket: Duplex): Promise<void> {
  const name = element(REQUEST_NAME, Buffer.from(START_TLS));
  const answer = await ask(socket, 1, element(EXTENDED_REQUEST, name), EXTENDED_RESPONSE);
  if (answer.status !== SUCCESS) {
    throw directoryError(
      answer,
      "start TLS",
      'Give the server a certificate, or use security: "seal", which needs none',
    );
  }
  if (socket.readableLength > 0) {
    throw new ProtocolError(
      "unexpected-message",
      "The server sent data between its answer and TLS; it was refused",
    );
  }
}

/** Binds by SASL. The exchange is complete when this resolves; its layer is not put on yet. */
export async function saslBind(socket: Duplex, sasl: SaslClient): Promise<void> {
  let credentials = await sasl.start();
  for (let id = 1; id <= MAX_ROUNDS; id++) {
    const choice = element(
      SASL,
      element(OCTET_STRING, Buffer.from(sasl.mechanism)),
      element(OCTET_STRING, credentials),
    );
    const answer = await ask(socket, id, bindRequest("", choice), BIND_RESPONSE);
    if (answer.status === SUCCESS) return await sasl.finish(answer.credentials);
    if (answer.status !== SASL_BIND_IN_PROGRESS) throw refusedBind(answer);
    credentials = await sasl.next(answer.credentials ?? new Uint8Array());
  }
  throw new ProtocolError(
    "unexpected-message",
    "The server does not come to an end of the bind; it was given up",
  );
}

/** Binds with a name and a password, which the server reads: only over TLS. */
export async function simpleBind(socket: Duplex, name: string, password: string | Uint8Array): Promise<void> {
  const secret = Buffer.from(password as Uint8Array);
  const request = bindRequest(name, element(SIMPLE, secret));
  try {
    const answer = await ask(socket, 1, request, BIND_RESPONSE);
    if (answer.status !== SUCCESS) throw refusedBind(answer);
  } finally {
    secret.fill(0);
    request.fill(0);
  }
}

function bindRequest(name: string, choice: Uint8Array): Uint8Array {
  return element(
    BIND_REQUEST,
    element(INTEGER, Uint8Array.of(3)),
    element(OCTET_STRING, Buffer.from(name)),
    choice,
  );
}

async function ask(socket: Duplex, id: number, request: Uint8Array, response: number): Promise<Answer> {
  socket.write(element(SEQUENCE, element(INTEGER, Uint8Array.of(id)), request));
  const { id: answered, operation } = readMessage(await nextMessage(socket));
  if (answered !== id || operation.tag !== response) {
    throw new ProtocolError(
      "unexpected-message",
      "The server answered with another message than was asked for",
    );
  }
  const { rest, ...result } = readResult(operation);
  return { ...result, credentials: rest.find(({ tag }) => tag === SERVER_CREDENTIALS)?.content ?? null };
}

/** Reads one message; what came after it goes back into the stream. */
async function nextMessage(stream: Duplex): Promise<Uint8Array> {
  const reader = new MessageReader(MAX_ANSWER);
  for (;;) {
    const chunk: Uint8Array | null = stream.read();
    if (chunk === null) {
      await readable(stream);
      continue;
    }
    const [message, ...others] = reader.push(chunk);
    if (message === undefined) continue;
    const rest = Buffer.concat([...others, reader.rest()]);
    if (rest.length > 0) stream.unshift(rest);
    return message;
  }
}

function readable(stream: Duplex): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const ended = (): void =>
    reject(new TransportError("closed", "The server closed the connection before it answered"));
  const failed = (error: Error): void => reject(error);
  stream.on("readable", resolve).on("end", ended).on("close", ended).on("error", failed);
  if (stream.readableEnded || stream.destroyed) ended();
  return promise.finally(() => {
    stream.off("readable", resolve).off("end", ended).off("close", ended).off("error", failed);
  });
}

/** Windows adds the reason of a refused bind in hexadecimal: `AcceptSecurityContext error, data 532`. */
const REASONS: Readonly<
  Record<string, readonly [ConstructorParameters<typeof AuthenticationError>[0], string]>
> = {
  "525": ["bad-credentials", "the account does not exist. Check its name"],
  "52e": ["bad-credentials", "the name or the password is wrong"],
  "530": ["other", "the account may not log on at this time"],
  "531": ["other", "the account may not log on from this computer"],
  "532": ["password-expired", "the password has expired. Change it"],
  "533": ["account-locked", "the account is disabled. An administrator enables it"],
  "701": ["account-expired", "the account has expired. An administrator extends it"],
  "773": ["password-expired", "the password must be changed before the first logon. Change it"],
  "775": ["account-locked", "the account is locked out. Wait, or have an administrator unlock it"],
  "80090346": [
    "channel-bindings",
    "it demands channel bindings that match its TLS connection. Something between this process and the server ends " +
    "TLS; connect to the server itself",
  ],
};

function refusedBind(answer: Result): Error {
  const { status, errorMessage } = answer;
  if (status === STRONGER_AUTH_REQUIRED) {
    return directoryError(answer, "bind", 'Use security: "seal", or "sign" with the default credentials');
  }
  const cause = directoryError(answer, "bind");
  if (status !== INVALID_CREDENTIALS) return cause;
  const data = /\bdata ([0-9a-f]+)\b/i.exec(errorMessage)?.[1].toLowerCase();
  const [reason, text] = REASONS[data ?? ""] ??
    [
      "peer-refused",
      "the server refuses the credentials. Check the account, its password and the server's log",
    ];
  return new AuthenticationError(reason, `Cannot bind to the directory: ${text}`, { cause });
}
