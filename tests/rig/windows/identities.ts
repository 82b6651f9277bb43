/**
 * The Kerberos tickets the suites run with. Wine hands the variables on to MIT's libraries, the Unix half of its
 * Kerberos; a Windows process cannot change them any more, so each identity is a process of its own.
 *
 * @module
 */

import type { Realm } from "../realm.ts";
import { removeTree } from "./cache.ts";
import type { Identity } from "./suites.ts";

/** The tickets of a run. */
export interface Identities {
  /** The environment of each identity. */
  readonly env: { readonly [name in Identity]: { readonly [variable: string]: string } };
  /** Prepares an identity, before each process that has it. */
  prepare(name: Identity): Promise<void>;
}

/** How long a ticket of one second takes to be certain to have expired. */
const EXPIRED_AFTER_MS = 2500;

/** Gets the tickets. */
export async function makeIdentities(realm: Realm): Promise<Identities> {
  const { KRB5_CONFIG, KRB5_KTNAME } = realm.env;
  const file = (name: Identity) => `${realm.dir}/cc-${name}`;
  const cache = (name: Identity) => `FILE:${file(name)}`;
  await realm.kinit("alice", { cache: cache("alice") });
  await realm.kinit("alice", { cache: cache("expired"), lifetime: "1s" });
  const expiredMs = Date.now() + EXPIRED_AFTER_MS;
  // A service that is known, and whose key no acceptor here has.
  await realm.addPrincipal("cifs/keyless.mit.test", { keytabs: [] });
  const of = (name: Identity) => ({
    KRB5_CONFIG,
    KRB5_KTNAME,
    KRB5CCNAME: cache(name),
    // krb5.conf names a key table with alice's key, by which GSS-API would help itself to a ticket.
    KRB5_CLIENT_KTNAME: `FILE:${realm.dir}/none.keytab`,
  });
  return {
    env: { alice: of("alice"), nobody: of("nobody"), expired: of("expired") },
    async prepare(name) {
      const waitMs = name === "expired" ? expiredMs - Date.now() : 0;
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
      // Wine puts the tickets it gets for a password into the cache.
      if (name === "nobody") await removeTree(file("nobody"));
    },
  };
}
