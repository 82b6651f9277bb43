/** Kerberos tokens without SPNEGO at a server of negotiate(), held to all that it requires of wrapped ones. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { test } from "@test";
import { spawnSync } from "node:child_process";
import { AuthenticationError, SecurityRequirementError, StateError } from "../../errors.ts";
import { type AcceptOptions, openAcceptor, openInitiator } from "../../mod.ts";
import { createRegistry } from "../../plugins/registry.ts";
import {
  acquire,
  bytes,
  exchange,
  inRealmWith,
  makeEnds,
  NAMES,
  PROVIDERS,
  seenAs,
  TARGET,
  withContexts,
} from "../support/gss.ts";
import { apReq, kerberosToken } from "../support/kerberos_tokens.ts";
import { inRealm, noRealm } from "../support/kerberos.ts";
import { LinePeer } from "../support/line_peer.ts";
import { withEnv } from "../support/env.ts";

const skip = noRealm;
/** A client of kerberos(), a server of negotiate(). */
const ENDS = { client: { provider: PROVIDERS.kerberos }, server: { provider: PROVIDERS.negotiate } };
const [OURS, OTHERS] = [bytes("tls-server-end-point:ours"), bytes("tls-server-end-point:others")];

test(
  "A server of negotiate() proves itself to a client that sends bare Kerberos, and reports the name it asked for",
  () =>
    inRealm((_, system) =>
      withContexts(system, ENDS, ({ client, server }, tokens) => {
        assertEquals(tokens.length, 2);
        assertEquals(client.attributes, server.attributes);
        assertEquals([server.attributes.mechanism, server.attributes.mutualAuthentication], [
          "kerberos",
          true,
        ]);
        assertEquals([server.peerName, server.requestedTarget], ["alice@MIT.TEST", `${TARGET}@MIT.TEST`]);
        assertEquals(client.sessionKey(), server.sessionKey());
      })
    ),
  { skip },
);

test(
  "A bare Kerberos token serves credentials from a key table, and of either end, as a wrapped one does",
  () =>
    inRealmWith({}, async (realm, system) => {
      await realm.kinit("alice");
      const keytab = realm.env.KRB5_KTNAME;
      await withEnv({ KRB5_KTNAME: `FILE:${realm.dir}/none` }, async () => {
        for (const credentials of [{ keytab }, { keytab, principal: TARGET }]) {
          await withContexts(system, { ...ENDS, server: { ...ENDS.server, credentials } }, ({ server }) => {
            assertEquals(server.peerName, "alice@MIT.TEST");
          });
        }
        const error = await assertRejects(() => acquire(system, "server"), AuthenticationError);
        assertEquals(error.reason, "no-credentials");
      });
    }),
  { skip },
);

test(
  "A server of negotiate() refuses bare Kerberos that lacks what it requires, and a forged token",
  () =>
    inRealm(async (_, system) => {
      using client = await openInitiator({
        system,
        registry: createRegistry([PROVIDERS.kerberos]),
        requirements: { mutualAuthentication: false },
      });
      for (const required of ["mutualAuthentication", "integrity"] as const) {
        const requirements = { mutualAuthentication: false, [required]: true };
        using acceptor = await openAcceptor({ system, requirements });
        using context = client.initiate({ target: TARGET });
        using server = acceptor.accept();
        const { token } = await context.step();
        const error = await assertRejects(() => server.step(token!), SecurityRequirementError);
        assertEquals(error.required, required);
      }
      using acceptor = await openAcceptor({ system });
      for (const forged of [kerberosToken(apReq(["HTTP", "localhost"])), apReq(["HTTP", "localhost"])]) {
        using server = acceptor.accept();
        const error = await assertRejects(() => server.step(forged), AuthenticationError);
        assertEquals([error.reason, server.done], ["wrong-target", false]);
        assertThrows(() => server.peer, StateError);
      }
    }),
  { skip },
);

test(
  "Channel bindings are compared with a bare Kerberos token's",
  () =>
    inRealm(async (_, system) => {
      for (const [theirs, bound] of [[OURS, true], [OTHERS, false], [undefined, false]] as const) {
        using ends = await makeEnds(system, {
          client: { ...ENDS.client, ...(theirs ? { channelBindings: theirs } : {}) },
          server: { ...ENDS.server, channelBindings: OURS },
        });
        if (bound) {
          await exchange(ends);
          assertEquals(ends.server.attributes.channelBound, true);
        } else {
          const { token } = await ends.client.step(null);
          const error = await assertRejects(() => ends.server.step(token), AuthenticationError);
          assertEquals([error.reason, ends.server.done], ["channel-bindings", false]);
        }
      }
    }),
  { skip },
);

test(
  "What a client delegates in a bare Kerberos token serves negotiate() and goes on as that client",
  () =>
    inRealm((_, system) =>
      withContexts(system, { ...ENDS, requirements: { delegation: true } }, async ({ server }) => {
        using delegated = server.takeDelegated!()!;
        assertEquals(await seenAs(system, PROVIDERS.negotiate, { delegated }), "alice@MIT.TEST");
      })
    ),
  { skip },
);

/** What begins a context with a mechanism by its name, and prints each token; `-` stands for none. */
const PYTHON_CLIENT = `
import base64, sys, gssapi
mechs = {"negotiate": gssapi.OID.from_int_seq("1.3.6.1.5.5.2"), "kerberos": gssapi.MechType.kerberos}
context = None
for line in sys.stdin:
    words = line.split()
    token = None
    if words[0] == "begin":
        bound = gssapi.raw.ChannelBindings(application_data=words[3].encode()) if len(words) > 3 else None
        context = gssapi.SecurityContext(
            name=gssapi.Name(words[2], gssapi.NameType.hostbased_service), mech=mechs[words[1]], usage="initiate",
            flags=gssapi.RequirementFlag.mutual_authentication, channel_bindings=bound)
    else:
        token = base64.b64decode(words[1])
    out = context.step(token)
    print("done" if context.complete else "more", base64.b64encode(out).decode() if out else "-", flush=True)
`;

/** Debian's, which has the package: another may come before it in PATH. */
const PYTHON = "/usr/bin/python3";
const noPython = noRealm ??
  (spawnSync(PYTHON, ["-c", "import gssapi"]).status === 0 ? null : "apt-get install python3-gssapi");

for (const name of NAMES) {
  test(
    `python3-gssapi as a client of ${name} is accepted by openAcceptor(), by its bindings where there are some`,
    () =>
      inRealm(async (_, system) => {
        using acceptor = await openAcceptor({ system, acceptedTargets: [TARGET] });
        const peer = new LinePeer(PYTHON, ["-c", PYTHON_CLIENT]);
        const outcome = async (theirs: string, options: AcceptOptions): Promise<string> => {
          using server = acceptor.accept(options);
          const [, token] = (await peer.say(`begin ${name} HTTP@localhost ${theirs}`)).split(" ");
          try {
            const answer = await server.step(Uint8Array.from(atob(token), (unit) => unit.charCodeAt(0)));
            assert(answer.done && answer.token !== null);
            const [state] = (await peer.say(`step ${btoa(String.fromCharCode(...answer.token))}`)).split(" ");
            const { mechanism, provider, channelBindings } = server.security;
            return `${state} ${provider} ${mechanism} ${server.peer!.name} ${channelBindings}`;
          } catch (error) {
            return (error as AuthenticationError).reason;
          }
        };
        try {
          assertEquals(await outcome("", {}), "done negotiate kerberos alice@MIT.TEST none");
          const bound = { channelBindings: OURS };
          const verified = "done negotiate kerberos alice@MIT.TEST verified";
          assertEquals(await outcome("tls-server-end-point:ours", bound), verified);
          assertEquals(await outcome("tls-server-end-point:others", bound), "channel-bindings");
          assertEquals(await outcome("", bound), "channel-bindings");
        } finally {
          await peer.close();
        }
      }),
    { skip: noPython },
  );
}
