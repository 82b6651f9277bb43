/**
 * The Kerberos tickets the suites run with. Wine hands the variables on to MIT's libraries, the Unix half of its
 * Kerberos; a Windows process cannot change them any more, so each identity is a process of its own.
 *
 * @module
 */

import type { Realm } from "../realm.ts";
import type { Identity } from "./suites.ts";

/** The environment of each identity. */
export type Identities = { readonly [name in Identity]: { readonly [variable: string]: string } };

/** Gets the tickets. */
export async function makeIdentities(realm: Realm): Promise<Identities> {
  const { KRB5_CONFIG, KRB5_KTNAME } = realm.env;
  const cache = (name: string) => `FILE:${realm.dir}/cc-${name}`;
  await realm.kinit("alice", { cache: cache("alice") });
  // A service that is known, and whose key no acceptor here has.
  await realm.addPrincipal("cifs/keyless.mit.test", { keytabs: [] });
  // Long over when the suite that wants it begins: others run first.
  await realm.kinit("alice", { cache: cache("expired"), lifetime: "1s" });
  const of = (name: Identity) => ({ KRB5_CONFIG, KRB5_KTNAME, KRB5CCNAME: cache(name) });
  return { alice: of("alice"), nobody: of("nobody"), expired: of("expired") };
}
