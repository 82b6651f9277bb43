/** Names of peers: two different principals never have the same text. */

import { assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import { AuthenticationError } from "../../errors.ts";
import { dataView, Gss, Slots } from "../../ffi/security/gss/gss.ts";
import { pinned } from "../../ffi/memory/memory.ts";
import { inRealmWith, NAMES, PROVIDERS, seenAs } from "../support/gss.ts";
import { noRealm } from "../support/kerberos.ts";

const skip = noRealm;

test(
  "peerName includes a leading byte order mark",
  () =>
    inRealmWith({}, async (realm, system) => {
      for (const name of ["\ufeffalice", "\ufeff\ufeffalice", "alice\ufeff"]) {
        await realm.kadmin([`addprinc -pw secret "${name}"`]);
        await realm.kinit(name, { password: "secret" });
        for (const provider of NAMES) {
          assertEquals(await seenAs(system, PROVIDERS[provider]), `${name}@${realm.realm}`);
        }
      }
    }),
  { skip },
);

test(
  "peerName that is not UTF-8 is refused",
  () =>
    inRealmWith({}, (_realm, system) => {
      const gss = new Gss(system);
      const slots = new Slots(16);
      const bytes = pinned(6);
      bytes.set([...new TextEncoder().encode("alice"), 0xff]);
      gss.call.gss_import_name(
        slots.slice(0, 4),
        gss.build.buffer(bytes),
        gss.oids.principalName,
        slots.slice(8, 8),
      );
      const name = dataView(slots.slice(8, 8)).getBigUint64(0, true);
      try {
        assertThrows(() => gss.displayName(name), AuthenticationError, "not UTF-8");
      } finally {
        gss.releaseName(name);
      }
      return Promise.resolve();
    }),
  { skip },
);
