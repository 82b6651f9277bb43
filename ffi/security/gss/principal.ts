/**
 * Names of users and of key table entries in the text forms of GSS-API's mechanisms, each of which the mechanism
 * reads back as exactly the name that was meant. The rules for applications are in `docs/credentials.md`.
 *
 * @module
 */

import type { User } from "../../../credentials.ts";

/** A principal as text for `krb5_parse_name_flags`. */
export interface Principal {
  /** The text. */
  readonly text: string;
  /** Whether it is an enterprise name (RFC 6806), which the realm's Kerberos server resolves. */
  readonly enterprise: boolean;
}

/** Between these the text of a principal has components, and behind `@` its realm; `\` escapes these three. */
const PRINCIPAL = component("[\\\\@/]", "[^\\\\@/\\p{Cc}]");

function component(escaped: string, plain: string): RegExp {
  const part = `(?:${plain}|\\\\${escaped})+`;
  return new RegExp(`^${part}(?:/${part})*(?:@${part})?$`, "u");
}

/**
 * A user's principal: its name in the domain or the default realm, with `/` between components as Kerberos has it. A
 * UPN is `user` in the realm `suffix`; beside a domain it is an enterprise name of that realm.
 *
 * @throws TypeError where a component would be empty.
 */
export function userPrincipal({ username, domain }: User): Principal {
  const [user, suffix] = username.split("@");
  if (suffix !== undefined && domain !== undefined) {
    // Of an enterprise name the first @ belongs to the name and a / separates nothing.
    return { text: `${username}@${escapeRealm(domain)}`, enterprise: true };
  }
  if (user.split("/").includes("")) {
    throw new TypeError(
      "credentials.username has a / with nothing beside it: Kerberos has components there, as in user/admin",
    );
  }
  const realm = domain ?? suffix;
  return { text: realm === undefined ? user : `${user}@${escapeRealm(realm)}`, enterprise: false };
}

function escapeRealm(realm: string): string {
  return realm.replaceAll("/", "\\/");
}

/**
 * A user's name as one text that Kerberos and gss-ntlmssp read alike, for where Negotiate may choose either.
 *
 * @throws TypeError where the two would read it as two users.
 */
export function userOfEitherMechanism({ username, domain }: User): string {
  if (!username.includes("@")) return domain === undefined ? username : `${username}@${domain}`;
  if (domain === undefined) {
    throw new TypeError(
      "credentials.username is a UPN, whose suffix is a realm to Kerberos and a part of the name to NTLM, which may " +
        "both serve here: give credentials.domain too, or leave allowNtlm out",
    );
  }
  return `${username.replace("@", "\\@")}@${domain}`;
}

/**
 * The principal of a key table, as `klist -k` prints it: `class/host@REALM` with `\\`, `\@` and `\/` for these
 * characters in a component.
 *
 * @throws TypeError where Kerberos would read another principal: a backslash before anything else, an empty
 * component or realm, a second `@`.
 */
export function checkPrincipal(principal: string, name: string): void {
  if (PRINCIPAL.test(principal)) return;
  throw new TypeError(
    `${name} is no principal as klist -k prints it: components with / between them, then perhaps @REALM, and a ` +
      "backslash only before a backslash, @ or / that belongs to a component (a user of a domain is user@REALM)",
  );
}
