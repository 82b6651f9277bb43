/**
 * Names of peers, taken apart the way their mechanisms put them together. A name that could be read in two ways is
 * not taken apart.
 *
 * @module
 */

import type { PeerIdentity } from "../../contract.ts";

/** What a name says of its bearer. */
export type NamedPeer = Pick<PeerIdentity, "name" | "user" | "realm">;

/**
 * A Kerberos principal in the form of krb5_unparse_name: `alice@EXAMPLE.TEST`, `HTTP/web.example.test@EXAMPLE.TEST`.
 * An `@` of the user's own has a backslash before it, and keeps it: without, two principals would read the same.
 */
export function kerberosPeer(name: string): NamedPeer {
  const match = /^((?:[^\\@]|\\.)+)@((?:[^\\@]|\\.)+)$/su.exec(name);
  return match === null ? { name, user: name, realm: "" } : { name, user: match[1], realm: match[2] };
}

/** A down-level logon name: `EXAMPLE\alice`. Neither part of one can hold a backslash. */
export function downLevelPeer(name: string): NamedPeer {
  const parts = name.split("\\");
  const whole = parts.length !== 2 || parts.includes("");
  return whole ? { name, user: name, realm: "" } : { name, user: parts[1], realm: parts[0] };
}

/** Whether a Kerberos principal is the one of clients that stay anonymous (RFC 8062). */
export function isAnonymous(name: string): boolean {
  return name.startsWith("WELLKNOWN/ANONYMOUS@");
}
