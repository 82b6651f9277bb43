/**
 * The one reading of who to be: a user's name and domain become two texts that no system below splits anew.
 *
 * A name that is glued into one text (`user@domain`, `DOMAIN\user`) and split again elsewhere can become another
 * user's; so what is ambiguous is refused here, and nothing is ever dropped, escaped or guessed.
 *
 * @module
 */

/** A user as the application named it, in two parts that do not overlap. */
export interface User {
  /** The account's name; with an `@` in it, a user principal name (UPN). Never with a backslash. */
  readonly username: string;
  /** The domain, or the realm, that the account is in. */
  readonly domain?: string;
}

// deno-lint-ignore no-control-regex -- control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f]/;

/** Refuses text that is no name: its value stays out of the message, for it may be a secret in the wrong place. */
function checkName(text: unknown, name: string): asserts text is string {
  if (typeof text !== "string" || text === "") {
    throw new TypeError(`${name} must be a string that is not empty`);
  }
  if (!text.isWellFormed()) {
    throw new TypeError(
      `${name} holds half of a surrogate pair, which no keyboard types; check where it is from`,
    );
  }
  if (CONTROL.test(text)) throw new TypeError(`${name} holds a control character, which no name has`);
}

/**
 * Reads a user's name as Windows does: `DOMAIN\user` is split at its backslash, `user@suffix` (a UPN) stays whole.
 *
 * @param given the name, and the domain where it was said apart.
 * @param name how messages call the object that both are of.
 * @throws TypeError that names the argument where it could be taken for another user: an empty part, a second
 * backslash or `@`, a domain that differs from the one in the name, half of a surrogate pair, a control character.
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
      `${name}.username has a backslash that does not stand between a domain and a user: write DOMAIN\\user`,
    );
  }
  const ats = user.split("@");
  if (ats.length > 2 || (ats.length === 2 && ats.includes(""))) {
    throw new TypeError(
      `${name}.username has an @ that does not stand between a user and a suffix: write user@suffix`,
    );
  }
  if (!split) return { username: user, ...(domain === undefined ? {} : { domain }) };
  checkDomain(before, `${name}.username`);
  if (domain !== undefined && domain.toLowerCase() !== before.toLowerCase()) {
    throw new TypeError(
      `${name}.username says one domain before its backslash and ${name}.domain another: leave one of them out`,
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
