/**
 * Writes names of users and of key table entries in the text forms of GSS-API's mechanisms, so that the mechanism
 * reads exactly the intended name. The rules for applications are in `docs/credentials.md`.
 *
 * @module
 */

import type { User } from "../../../credentials.ts";

/** A principal as text for `krb5_parse_name_flags`. */
export interface Principal {
  /** The text. */
  readonly text: string;
  /** Whether it is an enterprise name (RFC 6806), which the realm's KDC resolves. */
  readonly enterprise: boolean;
}

/** A principal's text has components between `/`, and its realm after `@`; `\` escapes these three characters. */
const PRINCIPAL = component("[\\\\@/]", "[^\\\\@/\\p{Cc}]");

function component(escaped: string, plain: string): RegExp {
  const part = `(?:${plain}|\\\\${escaped})+`;
  return new RegExp(`^${part}(?:/${part})*(?:@${part})?$`, "u");
}

/**
 * Returns a user's principal: its name in the domain or the default realm, with `/` between components as in
 * Kerberos. A UPN is `user` in the realm `suffix`; with a domain it is an enterprise name of that realm.
 *
 * @throws TypeError where a component would be empty.
 */
export function userPrincipal({ username, domain }: User): Principal {
  const [user, suffix] = username.split("@");
  if (suffix !== undefined && domain !== undefined) {
    // In an enterprise name the first @ belongs to the name, and / is not a separator.
    return { text: `${username}@${escapeRealm(domain)}`, enterprise: true };
  }
  if (user.split("/").includes("")) {
    throw new TypeError(
      "credentials.username has an empty component beside a /: write for instance user/admin",
    );
  }
  const realm = domain ?? suffix;
  return { text: realm === undefined ? user : `${user}@${escapeRealm(realm)}`, enterprise: false };
}

function escapeRealm(realm: string): string {
  return realm.replaceAll("/", "\\/");
}

/**
 * Returns a user's name as one text that Kerberos and gss-ntlmssp read in the same way, for Negotiate with both.
 *
 * @throws TypeError where the two would read different users.
 */
export function userOfEitherMechanism({ username, domain }: User): string {
  if (!username.includes("@")) return domain === undefined ? username : `${username}@${domain}`;
  if (domain === undefined) {
    throw new TypeError(
      "credentials.username is a UPN, whose suffix is a realm in Kerberos and a part of the name in NTLM, and both " +
        "are allowed here: give credentials.domain too, or leave allowNtlm out",
    );
  }
  return `${username.replace("@", "\\@")}@${domain}`;
}

/**
 * Checks the principal of a key table, as `klist -k` prints it: `class/host@REALM` with `\\`, `\@` and `\/` for these
 * characters in a component.
 *
 * @throws TypeError where Kerberos would read another principal: a backslash before anything else, an empty
 * component or realm, a second `@`.
 */
export function checkPrincipal(principal: string, name: string): void {
  if (PRINCIPAL.test(principal)) return;
  throw new TypeError(
    `${name} is not a principal as klist -k prints it: components with / between them, optionally @REALM, and a ` +
      "backslash only before a backslash, @ or / that belongs to a component (a user of a domain is user@REALM)",
  );
}
