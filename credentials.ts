/**
 * Reads a user's name and domain once, into two separate strings that no system below splits again.
 *
 * A name that is joined into one string (`user@domain`, `DOMAIN\user`) and split again elsewhere can become the name
 * of another user. So an ambiguous name is refused here, and nothing is removed, escaped or guessed.
 *
 * @module
 */

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
  if (!text.isWellFormed()) {
    throw new TypeError(
      `${name} contains a lone surrogate, which no keyboard types; check where it comes from`,
    );
  }
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
