/** The tokens of real handshakes, and which of them a client takes in on its own thread on Windows. */

import { assertEquals } from "@std/assert";
import { test } from "@test";
import { isKerberosAnswer } from "../../ffi/sspi/kerberos_answer.ts";
import { inRealmWith, NAMES, PROVIDERS, withContexts } from "../support/gss.ts";
import { noRealm } from "../support/kerberos.ts";

test(
  "A server's token that ends a handshake is Kerberos' answer, its client's is not",
  () =>
    inRealmWith({}, async (realm, system) => {
      await realm.kinit("alice", { forwardable: true });
      const channelBindings = Uint8Array.of(1, 2, 3);
      for (const name of NAMES) {
        for (const end of [{}, { channelBindings }]) {
          for (const delegation of [false, true]) {
            const requirements = { delegation, impersonation: delegation ? "delegate" : "identify" } as const;
            const options = { provider: PROVIDERS[name], requirements, client: end, server: end };
            await withContexts(system, options, (_ends, tokens) => {
              assertEquals(tokens.map(isKerberosAnswer), [false, true], name);
            });
          }
        }
      }
    }),
  { skip: noRealm },
);
