/**
 * Splits names of peers as their mechanisms join them. An ambiguous name is not split.
 *
 * @module
 */

import type { PeerIdentity } from "../../contract.ts";

/** The parts of a peer's name. */
export type NamedPeer = Pick<PeerIdentity, "name" | "user" | "realm">;

/**
 * Splits a Kerberos principal in the form of krb5_unparse_name: `alice@EXAMPLE.TEST`,
 * `HTTP/web.example.test@EXAMPLE.TEST`. An `@` in the user's name has a backslash before it, which is kept: without
 * it, two principals could have the same text.
 */
export function kerberosPeer(name: string): NamedPeer {
  const match = /^((?:[^\\@]|\\.)+)@((?:[^\\@]|\\.)+)$/su.exec(name);
  return match === null ? { name, user: name, realm: "" } : { name, user: match[1], realm: match[2] };
}

/** Splits a down-level logon name: `EXAMPLE\alice`. Neither part can contain a backslash. */
export function downLevelPeer(name: string): NamedPeer {
  const parts = name.split("\\");
  const whole = parts.length !== 2 || parts.includes("");
  return whole ? { name, user: name, realm: "" } : { name, user: parts[1], realm: parts[0] };
}

/** Returns whether a Kerberos principal is that of anonymous clients (RFC 8062). */
export function isAnonymous(name: string): boolean {
  return name.startsWith("WELLKNOWN/ANONYMOUS@");
}
