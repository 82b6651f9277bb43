/** Which members may be called in which state: all other calls are typed errors, and nothing native stays open. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { Buffer } from "node:buffer";
import { AuthenticationError, ProtocolError, StateError } from "../../errors.ts";
import { NativeSystem } from "../../ffi/system.ts";
import type { ProviderContext } from "../../contract.ts";
import { liveHandles } from "../../testing/mod.ts";
import {
  acquire,
  bytes,
  exchange,
  inRealmWith,
  makeEnds,
  NAMES,
  PROVIDERS,
  TARGET,
  unwrap,
  withContexts,
  wrap,
} from "../support/gss.ts";
import { inRealm, noRealm } from "../support/kerberos.ts";

const skip = noRealm;

/** The members that may be used only after the exchange is complete. */
const USES: { readonly [member: string]: (context: ProviderContext) => unknown } = {
  attributes: (context) => context.attributes,
  peerName: (context) => context.peerName,
  requestedTarget: (context) => context.requestedTarget,
  expiresAt: (context) => context.expiresAt,
  maxOverhead: (context) => context.maxOverhead,
  sessionKey: (context) => context.sessionKey(),
  wrap: (context) => context.wrap(bytes("x"), new Uint8Array(500)),
  unwrap: (context) => context.unwrap(new Uint8Array(100)),
  sign: (context) => context.sign(bytes("x")),
  verify: (context) => context.verify(bytes("x"), new Uint8Array(28)),
  takeDelegated: (context) => context.takeDelegated!(),
};

function allRefuse(context: ProviderContext, words: string): void {
  for (const [member, use] of Object.entries(USES)) {
    const error = assertThrows(() => use(context), StateError, words);
    assert(error.message.includes(member), error.message);
  }
}

for (const name of NAMES) {
  const provider = PROVIDERS[name];

  test(
    `${name}: members throw a StateError before the exchange is complete, and after close()`,
    () =>
      inRealm(async (_, system) => {
        using ends = await makeEnds(system, { provider });
        const both = [ends.client, ends.server];
        for (const end of both) allRefuse(end, "after step() has returned done");
        await exchange(ends);
        for (const end of both) {
          end.close();
          end.close();
          assertEquals(end.done, false);
          allRefuse(end, "closed");
          await assertRejects(() => end.step(bytes("x")), StateError, "closed");
        }
      }),
    { skip },
  );

  test(`${name}: close() may be called at every point of the exchange`, () =>
    inRealm(async (_, system) => {
      for (const stop of [0, 1, 2]) {
        using ends = await makeEnds(system, { provider });
        if (stop > 0) {
          const { token } = await ends.client.step(null);
          if (stop > 1) await ends.server.step(token);
        }
        ends.client.close();
        ends.server.close();
        assertEquals(liveHandles(), { library: 1, credentials: 2 });
      }
    }), { skip });

  test(
    `${name}: step() accepts no further token after the exchange`,
    () =>
      inRealm((_, system) =>
        withContexts(system, { provider }, async ({ client, server }) => {
          for (const end of [client, server]) {
            await assertRejects(() => end.step(bytes("more")), StateError, "complete");
            await assertRejects(() => end.step(null), StateError, "complete");
            assertEquals(end.done, true);
          }
          assertEquals(unwrap(server, wrap(client, bytes("x"))), bytes("x"));
        })
      ),
    { skip },
  );

  test(
    `${name}: step() of a client takes null first and then tokens; a server takes tokens only`,
    () =>
      inRealm(async (_, system) => {
        using ends = await makeEnds(system, { provider });
        const { client, server } = ends;
        await assertRejects(() => client.step(bytes("x")), TypeError, "null on a client's first");
        for (const token of [null, undefined, "x", [1], new ArrayBuffer(3), 7]) {
          await assertRejects(() => server.step(token as unknown as Uint8Array), TypeError, "Uint8Array");
        }
        const { token } = await client.step(null);
        await assertRejects(() => client.step(null), TypeError, "only a client's first step");
        await assertRejects(() => client.step("x" as unknown as Uint8Array), TypeError, "Uint8Array");
        // None of these calls counted as a step.
        await client.step((await server.step(token)).token);
        assertEquals([client.done, server.done], [true, true]);
      }),
    { skip },
  );

  test(
    `${name}: step() throws a ProtocolError for an empty token, and for one longer than a frame`,
    () =>
      inRealm(async (_, system) => {
        using ends = await makeEnds(system, { provider });
        const cases = [[new Uint8Array(0), "empty"], [new Uint8Array(65536), "oversized"]] as const;
        for (const [token, reason] of cases) {
          const error = await assertRejects(() => ends.server.step(token), ProtocolError);
          assertEquals(error.reason, reason);
        }
        const { token } = await ends.client.step(null);
        assertEquals((await ends.server.step(token)).done, true);
      }),
    { skip },
  );

  test(
    `${name}: step() with an invalid token fails the context permanently, and leaves its credentials usable`,
    () =>
      inRealm(async (_, system) => {
        using ends = await makeEnds(system, { provider });
        const noise = fc.oneof(
          fc.uint8Array({ minLength: 1, maxLength: 200 }),
          fc.constant(new Uint8Array(65535)),
          fc.constant(new Uint8Array(65535).fill(0x60)),
          // A length that is larger than the token.
          fc.constant(Uint8Array.of(0x60, 0x84, 0xff, 0xff, 0xff, 0xff, 0x06, 0x09)),
        );
        await fc.assert(
          fc.asyncProperty(noise, async (token) => {
            const server = ends.serverCredentials.server({});
            const error = await assertRejects(() => server.step(token), AuthenticationError);
            assert(error.cause !== undefined);
            allRefuse(server, "failed");
            await assertRejects(() => server.step(token), StateError, "failed");
            const client = ends.clientCredentials.client({ target: TARGET });
            await client.step(null);
            await assertRejects(() => client.step(token), AuthenticationError);
            allRefuse(client, "failed");
            assertEquals(liveHandles(), { library: 1, credentials: 2, context: 2 });
            client.close();
            server.close();
          }),
          { numRuns: 60 },
        );
        await exchange(ends);
      }),
    { skip },
  );

  test(
    `${name}: step() refuses a second call while one runs, and close() waits for its end`,
    () =>
      inRealm(async (_, system) => {
        using ends = await makeEnds(system, { provider });
        const first = ends.client.step(null);
        await assertRejects(() => ends.client.step(null), StateError, "still running");
        ends.client.close();
        assertEquals(liveHandles(), { library: 1, credentials: 2, context: 2 });
        const { token } = await first;
        assert(token!.length > 0);
        assertEquals(liveHandles(), { library: 1, credentials: 2, context: 1 });
        allRefuse(ends.client, "closed");
        const serving = ends.server.step(token);
        ends.server.close();
        await serving;
        allRefuse(ends.server, "closed");
      }),
    { skip },
  );

  test(
    `${name}: step() copies its token, whatever kind of array it is`,
    () =>
      inRealm(async (_, system) => {
        for (
          const copy of [(token: Uint8Array) => Buffer.from(token), (token: Uint8Array) => token.slice()]
        ) {
          using ends = await makeEnds(system, { provider });
          const token = copy((await ends.client.step(null)).token!);
          const serving = ends.server.step(token);
          token.fill(0);
          const reply = copy((await serving).token!);
          const finishing = ends.client.step(reply);
          reply.fill(0);
          assertEquals((await finishing).done, true);
        }
      }),
    { skip },
  );

  test(
    `${name}: many contexts can use the same credentials at once`,
    () =>
      inRealm(async (_, system) => {
        using clientCredentials = await acquire(system, "client", { provider });
        using serverCredentials = await acquire(system, "server", { provider });
        await Promise.all(Array.from({ length: 40 }, async (_, index) => {
          const client = clientCredentials.client({ target: TARGET });
          const server = serverCredentials.server({});
          try {
            await exchange({ client, server });
            const plain = bytes(`message ${index}`);
            assertEquals(unwrap(server, wrap(client, plain)), plain);
          } finally {
            client.close();
            server.close();
          }
        }));
      }),
    { skip },
  );
}

test(
  "acquire() that is aborted rejects with the signal's reason, and its result is released",
  () =>
    inRealmWith({}, async (realm, outer) => {
      await realm.kinit("alice");
      assertEquals(outer.capabilities().securityContexts.available, true);
      const system = new NativeSystem({ grants: ["sspi"] });
      const reason = new Error("changed my mind");
      for (const provider of Object.values(PROVIDERS)) {
        const aborted = AbortSignal.abort(reason);
        assertEquals(
          await assertRejects(() => acquire(system, "client", { provider, signal: aborted })),
          reason,
        );
        const control = new AbortController();
        const pending = acquire(system, "client", { provider, signal: control.signal });
        control.abort(reason);
        assertEquals(await assertRejects(() => pending), reason);
        const later = new AbortController();
        using kept = await acquire(system, "client", { provider, signal: later.signal });
        later.abort(reason);
        kept.client({ target: TARGET }).close();
      }
      system.close();
      // The native calls end by themselves, and the last of them releases the library.
      while ((liveHandles().library ?? 0) > 1) await new Promise((resolve) => setTimeout(resolve, 5));
      assertEquals(liveHandles(), { library: 1 });
    }),
  { skip },
);
