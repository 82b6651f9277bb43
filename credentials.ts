/**
 * Reads a user's name and domain once, into two separate strings that no system below splits again.
 *
 * A name that is joined into one string (`user@domain`, `DOMAIN\user`) and split again elsewhere can become the name
 * of another user. So an ambiguous name is refused here, and nothing is removed, escaped or guessed.
 *
 * @module
 */

import type { Credentials, ProviderCredentials } from "./contract.ts";

declare const CHECKED: unique symbol;
/** Made by {@linkcode checkCredentials} and by nothing else. */
interface Checked {
  readonly [CHECKED]: true;
}

/** A user's name and password; the name is split as {@linkcode readUser} does. */
export type CheckedPassword = User & { readonly password: string | Uint8Array } & Checked;
/** A key table, and optionally the principal. */
export type CheckedKeytab = { readonly keytab: string; readonly principal?: string } & Checked;
/** A credential cache. */
export type CheckedCache = { readonly cache: string } & Checked;
/** Checked credentials, except delegated ones. */
export type CheckedIdentity = CheckedPassword | CheckedKeytab | CheckedCache;
/** {@linkcode Credentials} that have been checked: frozen, of one kind, and with a user's name read once. */
export type CheckedCredentials = CheckedIdentity | ({ readonly delegated: ProviderCredentials } & Checked);

/** A user as the application named it, in two parts. */
export interface User {
  /** The account's name, or with an `@` a user principal name (UPN). Contains no backslash. */
  readonly username: string;
  /** The domain or realm of the account. */
  readonly domain?: string;
}

// deno-lint-ignore no-control-regex -- control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f]/;

/** Refuses text that cannot be a name. Messages leave its value out: it may be a password in the wrong argument. */
function checkName(text: unknown, name: string): asserts text is string {
  if (typeof text !== "string" || text === "") {
    throw new TypeError(`${name} must be a non-empty string`);
  }
  checkWellFormed(text, name);
  if (CONTROL.test(text)) {
    throw new TypeError(`${name} contains a control character, which a name must not contain`);
  }
}

/**
 * Reads a user's name as Windows does: `DOMAIN\user` is split at its backslash, `user@suffix` (a UPN) stays whole.
 *
 * @param given the name, and the domain where it was given separately.
 * @param name the name of the object that contains both, for messages.
 * @throws TypeError that names the argument where it could be read as another user: an empty part, a second backslash
 * or `@`, a domain that differs from the one in the name, a lone surrogate, a control character.
 */
export function readUser(
  { username, domain }: { readonly username: unknown; readonly domain?: unknown },
  name: string,
): User {
  checkName(username, `${name}.username`);
  if (domain !== undefined) checkDomain(domain, `${name}.domain`);
  const [before, user = before, ...more] = username.split("\\");
  const split = username.includes("\\");
  if (more.length > 0 || user === "" || (split && before === "")) {
    throw new TypeError(
      `${name}.username has a backslash that is not between a domain and a user: write DOMAIN\\user`,
    );
  }
  const ats = user.split("@");
  if (ats.length > 2 || (ats.length === 2 && ats.includes(""))) {
    throw new TypeError(
      `${name}.username has an @ that is not between a user and a suffix: write user@suffix`,
    );
  }
  if (!split) return { username: user, ...(domain === undefined ? {} : { domain }) };
  checkDomain(before, `${name}.username`);
  if (domain !== undefined && domain.toLowerCase() !== before.toLowerCase()) {
    throw new TypeError(
      `${name}.username has one domain before its backslash and ${name}.domain is another: leave one of them out`,
    );
  }
  return { username: user, domain: domain ?? before };
}

function checkDomain(domain: unknown, name: string): asserts domain is string {
  checkName(domain, name);
  if (/[\\@]/.test(domain)) {
    throw new TypeError(`${name} has a backslash or an @ in the domain: write the domain's name alone`);
  }
}

const KINDS: readonly { readonly required: string; readonly known: readonly string[] }[] = [
  { required: "username", known: ["username", "domain", "password"] },
  { required: "keytab", known: ["keytab", "principal"] },
  { required: "cache", known: ["cache"] },
  { required: "delegated", known: ["delegated"] },
];
const done = new WeakSet<object>();

/**
 * Checks credentials once; credentials that were checked before are returned unchanged. Messages contain no values:
 * any value may be a secret in the wrong argument.
 *
 * @param given the credentials. A password that is a `Uint8Array` is not copied, and the caller zeroes it.
 * @param name the name of the argument, for messages.
 * @throws TypeError that names the argument, the problem and the fix.
 */
export function checkCredentials(given: Credentials | CheckedCredentials, name: string): CheckedCredentials {
  const keys = typeof given === "object" && given !== null ? Object.keys(given) : [];
  if (keys.length > 0 && done.has(given)) return given as CheckedCredentials;
  const kind = KINDS.find(({ required }) => keys.includes(required));
  if (!kind) {
    throw new TypeError(
      `${name} must have a username and a password, or a keytab, or a cache, or delegated credentials; leave it out ` +
        "for the user that runs the process",
    );
  }
  const unknown = keys.find((key) => !kind.known.includes(key));
  if (unknown !== undefined) {
    throw new TypeError(
      `${name}.${unknown} is not known with ${kind.required}; use ${kind.known.join(", ")}`,
    );
  }
  const checked = Object.freeze(copyOf(given, name)) as CheckedCredentials;
  done.add(checked);
  return checked;
}

function copyOf(given: Credentials, name: string): object {
  // Only the provider can distinguish its own credentials from others.
  if ("delegated" in given) return { delegated: given.delegated };
  if ("username" in given) {
    const { password } = given;
    if (password === undefined) throw new TypeError(`${name}.password must be given with the username`);
    if (typeof password !== "string" && !(password instanceof Uint8Array)) {
      throw new TypeError(`${name}.password must be a string or a Uint8Array of UTF-8`);
    }
    if (typeof password === "string") checkWellFormed(password, `${name}.password`);
    return { ...readUser(given, name), password };
  }
  if ("cache" in given) return { cache: checkPath(given.cache, `${name}.cache`) };
  const { principal } = given;
  return {
    keytab: checkPath(given.keytab, `${name}.keytab`),
    ...(principal === undefined ? {} : { principal: checkPath(principal, `${name}.principal`) }),
  };
}

function checkPath(text: unknown, name: string): string {
  if (typeof text !== "string" || text === "" || text.includes("\u0000")) {
    throw new TypeError(`${name} must be a non-empty string without a NUL`);
  }
  checkWellFormed(text, name);
  return text;
}

function checkWellFormed(text: string, name: string): void {
  if (text.isWellFormed()) return;
  throw new TypeError(
    `${name} contains a lone surrogate, which no keyboard types; check where it comes from`,
  );
}
