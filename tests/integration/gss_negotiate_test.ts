/** Invalid tokens for negotiate(): of another mechanism, without a mechanism's token, changed. */

import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { AuthenticationError, SecureSocketError } from "../../errors.ts";
import { GSS_C, OIDS } from "../../ffi/raw/gssapi.ts";
import { acquire, inRealmWith, PROVIDERS, TARGET } from "../support/gss.ts";
import { noRealm } from "../support/kerberos.ts";
import { RawClient } from "../support/raw_gss.ts";

const skip = noRealm;

test(
  "negotiate() on a server refuses Kerberos without SPNEGO, and kerberos() refuses it with SPNEGO",
  () =>
    inRealmWith({}, async (realm, system) => {
      await realm.kinit("alice");
      for (const [mechanism, provider] of [["kerberos", "negotiate"], ["spnego", "kerberos"]] as const) {
        using credentials = await acquire(system, "server", { provider: PROVIDERS[provider] });
        using client = new RawClient(system, { mechanism, target: TARGET, flags: GSS_C.MUTUAL_FLAG });
        const { token } = await client.step(null);
        const server = credentials.server({});
        const error = await assertRejects(() => server.step(token), AuthenticationError);
        assert(!/install|NTLM/i.test(error.message), error.message);
        assertStringIncludes(error.message, "same provider on both ends");
        assertEquals(server.done, false);
      }
    }),
  { skip },
);

/** NegTokenResp of RFC 4178 with this state and, where asked, a mechanism; never a mechanism's token. */
function hollowReply(state: number, withMechanism: boolean): Uint8Array {
  const mechanism = withMechanism
    ? [0xa1, 2 + OIDS.kerberos.length, 6, OIDS.kerberos.length, ...OIDS.kerberos]
    : [];
  const fields = [0xa0, 3, 0x0a, 1, state, ...mechanism];
  return Uint8Array.from([0xa1, fields.length + 2, 0x30, fields.length, ...fields]);
}

test(
  "step() on a client refuses a reply that accepts without proving the server's identity",
  () =>
    inRealmWith({}, async (realm, system) => {
      await realm.kinit("alice");
      using credentials = await acquire(system, "client");
      for (const state of [0, 1, 2, 3]) {
        for (const withMechanism of [false, true]) {
          const client = credentials.client({ target: TARGET });
          await client.step(null);
          await assertRejects(() => client.step(hollowReply(state, withMechanism)), AuthenticationError);
          assertEquals(client.done, false);
          client.close();
        }
      }
    }),
  { skip },
);

test(
  "step() on a client refuses a server's reply with any byte changed, or verifies the same identity",
  () =>
    inRealmWith({}, async (realm, system) => {
      await realm.kinit("alice");
      for (const provider of Object.values(PROVIDERS)) {
        using clientCredentials = await acquire(system, "client", { provider });
        using serverCredentials = await acquire(system, "server", { provider });
        let length = 1;
        for (let at = 0; at < length; at++) {
          const client = clientCredentials.client({ target: TARGET });
          const server = serverCredentials.server({});
          try {
            const { token } = await client.step(null);
            const reply = (await server.step(token)).token!;
            length = reply.length;
            reply[at] ^= 1 << (at % 8);
            await client.step(reply);
            if (!client.done) continue;
            assertEquals(client.attributes, { ...server.attributes });
            assertEquals(client.sessionKey(), server.sessionKey());
          } catch (error) {
            assert(error instanceof SecureSocketError, `byte ${at}: ${error}`);
          } finally {
            client.close();
            server.close();
          }
        }
      }
    }),
  { skip },
);

test(
  "step() on a server refuses a client's token with any byte changed, or reports the right attributes",
  () =>
    inRealmWith({}, async (realm, system) => {
      await realm.kinit("alice");
      for (const provider of Object.values(PROVIDERS)) {
        using clientCredentials = await acquire(system, "client", { provider });
        using serverCredentials = await acquire(system, "server", { provider });
        const client = clientCredentials.client({ target: TARGET });
        const { token } = await client.step(null);
        client.close();
        for (let at = 0; at < token!.length; at += at < 120 ? 1 : 13) {
          const server = serverCredentials.server({});
          const changed = token!.slice();
          changed[at] ^= 1 << (at % 8);
          try {
            await server.step(changed);
            if (server.done) {
              assertEquals([server.peerName, server.attributes.confidentiality], ["alice@MIT.TEST", true]);
            }
          } catch (error) {
            assert(error instanceof SecureSocketError, `byte ${at}: ${error}`);
          } finally {
            server.close();
          }
        }
      }
    }),
  { skip },
);
