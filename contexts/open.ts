/**
 * `openInitiator()` and `openAcceptor()`: acquire credentials once and make many verified contexts of them.
 *
 * @module
 */

import type { Acceptor, Credentials, Initiator } from "../contract.ts";
import { checkCredentials } from "../credentials.ts";
import { OpenAcceptor } from "./acceptor.ts";
import { checkKeys, checkMethod, checkSignal, checkTargets } from "./check.ts";
import { acquire, bareRequirements, OpenInitiator, type Terms } from "./initiator.ts";
import {
  type AcceptorOptions,
  defaultRegistry,
  defaultSystem,
  type OpenOptions,
  selectContexts,
} from "./options.ts";

const OPEN = ["registry", "credentials", "requirements", "system", "signal"];

/**
 * Acquires a client's credentials for many contexts, and acquires them again when they have expired.
 *
 * @throws TypeError if an option is invalid; nothing was opened.
 * @throws ProviderNotFoundError or PermissionError if no provider is available.
 * @throws AuthenticationError if there are no credentials, or they are wrong.
 *
 * @example
 * ```ts
 * import { openInitiator } from "@winsock/secure-sockets";
 *
 * using initiator = await openInitiator();
 * using context = initiator.initiate({ target: "HTTP/web.example.test" });
 * const { token } = await context.step(); // goes into "Authorization: Negotiate ..."
 * console.log(token?.length);
 * ```
 */
export async function openInitiator(options: OpenOptions = {}): Promise<Initiator> {
  const { terms, signal } = readOptions(options, OPEN);
  signal?.throwIfAborted();
  return await opening(terms, async () => {
    const selected = selectContexts(terms);
    return new OpenInitiator(terms, selected, await acquire("client", terms, selected, signal));
  });
}

/**
 * Acquires a server's credentials for many contexts.
 *
 * A client may begin with SPNEGO or with a bare Kerberos or NTLM token: its first token decides which provider of
 * the registry answers.
 *
 * @throws as {@linkcode openInitiator} does.
 *
 * @example
 * ```ts
 * import { openAcceptor } from "@winsock/secure-sockets";
 *
 * using acceptor = await openAcceptor({ acceptedTargets: ["HTTP/web.example.test"] });
 * async function signOn(token: Uint8Array): Promise<string> {
 *   using context = acceptor.accept();
 *   const { done } = await context.step(token);
 *   return done && context.peer ? context.peer.name : "";
 * }
 * console.log(typeof signOn);
 * ```
 */
export async function openAcceptor(options: AcceptorOptions = {}): Promise<Acceptor> {
  const { terms, signal } = readOptions(options, [...OPEN, "acceptedTargets"]);
  const acceptedTargets = options.acceptedTargets === undefined
    ? undefined
    : checkTargets(options.acceptedTargets, "options.acceptedTargets");
  signal?.throwIfAborted();
  return await opening(terms, async () => {
    const selected = selectContexts(terms);
    const credentials = await acquire("server", terms, selected, signal);
    return new OpenAcceptor(terms, acceptedTargets, selected, credentials);
  });
}

/** Zeroes the copy of the password if nothing was opened that would. */
async function opening<T>({ password }: Terms, open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (error) {
    password?.fill(0);
    throw error;
  }
}

function readOptions(
  options: OpenOptions,
  known: readonly string[],
): { readonly terms: Terms; readonly signal?: AbortSignal } {
  checkKeys(options, known, "options");
  const { registry = defaultRegistry(), credentials, system = defaultSystem() } = options;
  checkMethod(registry, "options.registry", "select");
  checkMethod(system, "options.system", "capabilities");
  return {
    terms: {
      registry,
      system,
      requirements: bareRequirements(options.requirements),
      ...(credentials === undefined ? {} : ownCredentials(credentials)),
    },
    signal: checkSignal(options.signal, "options.signal"),
  };
}

/** Checked credentials with a copy of the password: the caller may zero its own as soon as they are acquired. */
function ownCredentials(given: Credentials): Pick<Terms, "credentials" | "password"> {
  const credentials = checkCredentials(given, "options.credentials");
  if (!("password" in credentials) || typeof credentials.password === "string") return { credentials };
  const password = Uint8Array.from(credentials.password);
  return { credentials: { ...credentials, password }, password };
}
