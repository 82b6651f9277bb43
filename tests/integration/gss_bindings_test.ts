/** Channel bindings: verified or refused at the first token, in both mechanisms. */

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { test } from "@test";
import { AuthenticationError } from "../../errors.ts";
import {
  acquire,
  bytes,
  exchange,
  makeEnds,
  NAMES,
  PROVIDERS,
  TARGET,
  withContexts,
} from "../support/gss.ts";
import { inRealm, noRealm } from "../support/kerberos.ts";

const skip = noRealm;
const BINDINGS = bytes("tls-server-end-point:0123456789abcdef0123456789abcdef");
const OTHER = bytes("tls-server-end-point:0123456789abcdef0123456789abcdee");

for (const name of NAMES) {
  const provider = PROVIDERS[name];

  test(
    `${name}: equal channel bindings on both ends are reported as channelBound on both`,
    () =>
      inRealm(async (_, system) => {
        for (const bindings of [BINDINGS, new Uint8Array(1), new Uint8Array(5000).fill(3)]) {
          const end = { channelBindings: bindings };
          await withContexts(system, { provider, client: end, server: end }, ({ client, server }) => {
            assertEquals([client.attributes.channelBound, server.attributes.channelBound], [true, true]);
          });
        }
      }),
    { skip },
  );

  test(
    `${name}: channelBound is false without channel bindings`,
    () =>
      inRealm((_, system) =>
        withContexts(system, { provider }, ({ client, server }) => {
          assertEquals([client.attributes.channelBound, server.attributes.channelBound], [false, false]);
        })
      ),
    { skip },
  );

  for (const [what, theirs] of [["none", undefined], ["others", OTHER]] as const) {
    test(
      `${name}: a server with channel bindings refuses the first token of a client that gave ${what}`,
      () =>
        inRealm(async (_, system) => {
          const server = { channelBindings: BINDINGS };
          using ends = await makeEnds(system, {
            provider,
            server,
            ...(theirs ? { client: { channelBindings: theirs } } : {}),
          });
          const { token } = await ends.client.step(null);
          const error = await assertRejects(
            () => ends.server.step(token),
            AuthenticationError,
            "channel bindings",
          );
          assertEquals(error.reason, "channel-bindings");
          assertEquals(ends.server.done, false);
          assertThrows(() => ends.server.attributes);
        }),
      { skip },
    );
  }

  test(
    `${name}: a server without channel bindings accepts a client that has some, and reports none`,
    () =>
      inRealm((_, system) =>
        withContexts(system, { provider, client: { channelBindings: BINDINGS } }, ({ client, server }) => {
          assertEquals([client.attributes.channelBound, server.attributes.channelBound], [true, false]);
        })
      ),
    { skip },
  );

  test(
    `${name}: channelBindings are copied when the context is made`,
    () =>
      inRealm(async (_, system) => {
        using clientCredentials = await acquire(system, "client", { provider });
        using serverCredentials = await acquire(system, "server", { provider });
        const [ours, theirs] = [BINDINGS.slice(), BINDINGS.slice()];
        const client = clientCredentials.client({ target: TARGET, channelBindings: ours });
        const server = serverCredentials.server({ channelBindings: theirs });
        ours.fill(1);
        theirs.fill(2);
        try {
          await exchange({ client, server });
        } finally {
          client.close();
          server.close();
        }
      }),
    { skip },
  );

  test(
    `${name}: channelBindings that are not bytes, or empty, throw a TypeError and leave nothing open`,
    () =>
      inRealm(async (_, system) => {
        using clientCredentials = await acquire(system, "client", { provider });
        using serverCredentials = await acquire(system, "server", { provider });
        for (const wrong of ["tls-unique:", null, [1], {}, new Uint8Array(0), new ArrayBuffer(4)]) {
          const channelBindings = wrong as Uint8Array;
          assertThrows(
            () => clientCredentials.client({ target: TARGET, channelBindings }),
            TypeError,
            "channelBindings",
          );
          assertThrows(() => serverCredentials.server({ channelBindings }), TypeError, "channelBindings");
        }
      }),
    { skip },
  );
}
