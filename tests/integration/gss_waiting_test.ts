/** A KDC that accepts connections and never answers blocks only the calls that wait for it. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { test } from "@test";
import { createServer, type Socket } from "node:net";
import { AuthenticationError, StateError } from "../../errors.ts";
import { filePath } from "../../ffi/security/gss/held_tickets.ts";
import { NativeSystem } from "../../ffi/system.ts";
import type { Realm } from "../rig/realm.ts";
import { liveHandles } from "../../testing/mod.ts";
import { withEnv } from "../support/env.ts";
import { FirstSteps, settled } from "../support/first_steps.ts";
import { acquire, inRealmWith, NAMES, PROVIDERS, TARGET, withContexts } from "../support/gss.ts";
import { noRealm } from "../support/kerberos.ts";
import { runtimeBackend } from "../support/native.ts";

const skip = noRealm;

/** A server that accepts connections, and ends them when `end()` is called. */
async function silentServer(): Promise<{ port: number; asked: Promise<void>; end(): Promise<void> }> {
  const sockets = new Set<Socket>();
  const { promise: asked, resolve } = Promise.withResolvers<void>();
  let ended = false;
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("data", () => resolve());
    if (ended) socket.destroy();
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  return {
    port: (server.address() as { port: number }).port,
    asked,
    end() {
      ended = true;
      for (const socket of sockets) socket.destroy();
      return new Promise((closed) => server.close(() => closed()));
    },
  };
}

/** Waits for 20 turns of the event loop, and returns whether `pending` was still pending then. */
async function turnsWhile(pending: Promise<unknown>): Promise<boolean> {
  let settled = false;
  const done = () => settled = true;
  pending.then(done, done);
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve, 5));
  return !settled;
}

/** Runs `body` with a separate system, whose last call may end after it. */
async function withSilence(
  realm: Realm,
  body: (system: NativeSystem, server: Awaited<ReturnType<typeof silentServer>>) => Promise<void>,
  backend = runtimeBackend(),
): Promise<void> {
  const server = await silentServer();
  const system = new NativeSystem({ grants: ["sspi"] }, { backend });
  try {
    await withEnv({ KRB5_CONFIG: realm.writeConfig({ port: server.port }) }, () => body(system, server));
  } finally {
    await server.end();
    system.close();
  }
  while ((liveHandles().library ?? 0) > 1) await new Promise((resolve) => setTimeout(resolve, 10));
  assertEquals(liveHandles(), { library: 1 });
}

for (const name of NAMES) {
  const provider = PROVIDERS[name];

  test(
    `${name}: acquire() does not block the event loop while it waits for the KDC, and an abort ends the wait`,
    () =>
      inRealmWith({}, async (realm, outer) => {
        assertEquals(outer.capabilities().securityContexts.available, true);
        await withSilence(realm, async (system, server) => {
          const control = new AbortController();
          const credentials = { username: "alice", password: realm.users.alice };
          const pending = acquire(system, "client", { provider, credentials, signal: control.signal });
          await server.asked;
          assert(await turnsWhile(pending), "it did not wait");
          const reason = new Error("no longer needed");
          control.abort(reason);
          assertEquals(await assertRejects(() => pending), reason);
        });
      }),
    { skip },
  );

  test(
    `${name}: step() does not block the event loop while it waits for the KDC, and close() is safe`,
    () =>
      inRealmWith({}, async (realm, outer) => {
        await realm.kinit("alice");
        assertEquals(outer.capabilities().securityContexts.available, true);
        await withSilence(realm, async (system, server) => {
          const held = await acquire(system, "client", { provider });
          const context = held.client({ target: TARGET });
          const pending = context.step(null);
          await server.asked;
          assert(await turnsWhile(pending), "it did not wait");
          context.close();
          held.close();
          system.close();
          await assertRejects(() => context.step(null), StateError, "still running");
          await server.end();
          const error = await assertRejects(() => pending, AuthenticationError);
          assertEquals(error.reason, "authority-unreachable");
          await assertRejects(() => context.step(null), StateError, "closed");
        });
      }),
    { skip },
  );
}

test(
  "a client's first step with a ticket in memory waits for no other step that waits for the KDC",
  () =>
    inRealmWith({}, async (realm, outer) => {
      await realm.kinit("alice");
      await withContexts(outer, {}, () => {});
      await settled(filePath(realm.env.KRB5CCNAME)!);
      const steps = new FirstSteps();
      await withSilence(realm, async (system, server) => {
        const held = await acquire(system, "client");
        const shake = async (target: string): Promise<void> => {
          const context = held.client({ target });
          try {
            await context.step(null);
          } finally {
            context.close();
          }
        };
        for (const expected of ["0 here, 1 elsewhere", "1 here, 0 elsewhere"]) {
          await shake(TARGET);
          assertEquals(steps.take(), expected);
        }
        const waiting = shake("HTTP/elsewhere");
        await server.asked;
        // The library locks the credentials of a step that waits.
        await shake(TARGET);
        assertEquals(steps.take(), "1 here, 1 elsewhere");
        assert(await turnsWhile(waiting), "it did not wait");
        held.close();
        await server.end();
        await assertRejects(() => waiting, AuthenticationError);
      }, steps.backend());
    }),
  { skip },
);

test(
  "a client's first step that copies its tickets into memory does not block the event loop while another step waits",
  () =>
    inRealmWith({}, async (realm, outer) => {
      await realm.kinit("alice");
      await withContexts(outer, {}, () => {});
      await settled(filePath(realm.env.KRB5CCNAME)!);
      const steps = new FirstSteps();
      await withSilence(realm, async (system, server) => {
        const held = await acquire(system, "client");
        const begin = (target: string) => {
          const context = held.client({ target });
          return context.step(null).finally(() => context.close());
        };
        await begin(TARGET);
        const waiting = begin("HTTP/elsewhere");
        await server.asked;
        // The library locks the credentials of a step that waits, also against questions about them.
        const second = begin(TARGET);
        assert(await turnsWhile(waiting), "the event loop was blocked until the other step had ended");
        await server.end();
        await assertRejects(() => waiting, AuthenticationError);
        await second;
        held.close();
        assertEquals(steps.take(), "1 here, 2 elsewhere");
      }, steps.backend());
    }),
  { skip },
);
