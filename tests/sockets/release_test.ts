/**
 * A provider whose close fails hides no other failure and leaves nothing open; an unhandled rejection ends the
 * test.
 */

import { assert, assertEquals, assertRejects, assertStrictEquals } from "@std/assert";
import { test } from "@test";
import { AuthenticationError, TransportError } from "../../errors.ts";
import { listenTcp } from "../../ffi/transport/mod.ts";
import { createRegistry } from "../../plugins/registry.ts";
import { connect } from "../../sockets/connect.ts";
import { listen } from "../../sockets/listen.ts";
import { settle } from "../support/memory_transport.ts";
import { attempt, secured } from "../support/secured.ts";
import { type ToyFaults, toyProvider, toySystem } from "../support/toy_provider.ts";

const closeError = new Error("close was made to fail");
/** The ways in which a close can fail, whatever its type says. */
const WAYS: { readonly [way: string]: () => unknown } = {
  "throws": () => {
    throw closeError;
  },
  "rejects": () => Promise.reject(closeError),
};
const HERE = { hostname: "127.0.0.1", target: "host/x" } as const;

const common = (provider: ReturnType<typeof toyProvider>) => ({
  registry: createRegistry([provider]),
  system: toySystem(),
});

for (const [way, closeCredentials] of Object.entries(WAYS)) {
  for (const role of ["client", "server"] as const) {
    const faults: ToyFaults = { closeCredentials };
    const own = role === "client" ? { clientFaults: faults } : { serverFaults: faults };

    test(`credentials whose close ${way} on a ${role} that failed do not hide the reason`, async () => {
      const failure = new AuthenticationError("other", "the true reason");
      const onStep = (at: string) => {
        if (at === role) throw failure;
      };
      const started = attempt(
        role === "client" ? { clientFaults: { ...faults, onStep } } : { serverFaults: { ...faults, onStep } },
      );
      assertStrictEquals(await started[role].catch((error) => error), failure);
      await Promise.allSettled([started.client, started.server]);
      assertEquals([started.a.closes, started.b.closes], [1, 1]);
      assertEquals([started.clientProvider.ledger.live, started.serverProvider.ledger.live], [0, 0]);
    });

    test(`credentials whose close ${way} on a ${role} that has connected fail it, and nothing stays open`, async () => {
      const started = attempt(own);
      assertStrictEquals(await started[role].catch((error) => error), closeError);
      const other = await (role === "client" ? started.server : started.client);
      await other.close();
      assertEquals([started.a.closes, started.b.closes], [1, 1]);
      assertEquals([started.clientProvider.ledger.live, started.serverProvider.ledger.live], [0, 0]);
    });
  }

  test(`credentials that arrive after an abort, and whose close ${way}, change nothing`, async () => {
    const controller = new AbortController();
    let letGo = () => {};
    const started = attempt({
      client: { signal: controller.signal },
      clientFaults: {
        closeCredentials,
        onAcquire: () => new Promise<void>((resolve) => letGo = resolve),
      },
    });
    await settle();
    controller.abort("enough");
    assertEquals(await started.client.catch((error) => error), "enough");
    letGo();
    await Promise.allSettled([started.server]);
    await settle();
    const { ledger } = started.clientProvider;
    assertEquals([ledger.credentials, ledger.live], [1, 0]);
  });

  test(`credentials whose close ${way} after a step that outlives its abort change nothing`, async () => {
    const controller = new AbortController();
    let letGo = () => {};
    const started = attempt({
      client: { signal: controller.signal },
      clientFaults: {
        closeCredentials,
        onStep: () => {
          controller.abort("enough");
          return new Promise<void>((resolve) => letGo = resolve);
        },
      },
    });
    assertEquals(await started.client.catch((error) => error), "enough");
    assertEquals(started.clientProvider.ledger.credentialCloses, 0);
    letGo();
    await Promise.allSettled([started.server]);
    await settle();
    assertEquals(started.clientProvider.ledger.live, 0);
  });

  test(`credentials whose close ${way} do not hide that the connection was refused, or the port is in use`, async () => {
    const provider = toyProvider({ closeCredentials });
    const tcp = await listenTcp({ hostname: "127.0.0.1", port: 0 });
    const { port } = tcp.addr;
    const taken = await assertRejects(
      () => listen({ hostname: "127.0.0.1", port, ...common(provider) }),
      TransportError,
    );
    assertEquals(taken.codeName, "EADDRINUSE");
    tcp.close();
    const refused = await assertRejects(
      () => connect({ ...HERE, port, ...common(provider) }),
      TransportError,
    );
    assertEquals(refused.codeName, "ECONNREFUSED");
    assertEquals([provider.ledger.credentials, provider.ledger.live], [2, 0]);
  });

  test(`a listener whose credentials' close ${way} reports it from close(), and nowhere else`, async () => {
    for (const by of ["call", "signal", "loop"]) {
      const provider = toyProvider({ closeCredentials });
      const controller = new AbortController();
      const { signal } = controller;
      const listener = await listen({ hostname: "127.0.0.1", port: 0, signal, ...common(provider) });
      if (by === "signal") controller.abort("enough");
      const iterating = by === "loop"
        ? (async () => {
          for await (const conn of listener) await conn.close();
        })().catch((error) => error)
        : null;
      await settle();
      assertStrictEquals(await listener.close().catch((error) => error), closeError);
      if (iterating) assertStrictEquals(await iterating, closeError);
      assertEquals(provider.ledger.live, 0);
    }
  });

  test(`a context whose close ${way} is reported by close(), and hides no failure of a record`, async () => {
    const failing: ToyFaults = { closeContext: closeCredentials };
    const one = await secured({ clientFaults: failing });
    assertStrictEquals(await one.client.close().catch((error) => error), closeError);
    assertEquals(one.a.closes, 1);
    await one.server.close();
    const two = await secured({ clientFaults: { ...failing, failWrapAt: 0 } });
    const failure = await two.client.write(Uint8Array.of(1)).catch((error) => error);
    assertEquals(failure.reason, "sequence-exhausted");
    await two.server.close();
    const started = attempt({ clientFaults: { ...failing, attributes: { confidentiality: false } } });
    const refusal = await started.client.catch((error) => error);
    assertEquals(refusal.name, "SecurityRequirementError");
    await Promise.allSettled([started.server]);
    assert(started.clientProvider.ledger.contextCloses.every((closes) => closes === 1));
    assertEquals(started.clientProvider.ledger.live, 0);
    const refused = attempt({
      clientFaults: failing,
      serverFaults: {
        onStep: () => {
          throw new AuthenticationError("other", "the server refuses");
        },
      },
    });
    const told = await refused.client.catch((error) => error);
    assert(told !== closeError && /refuse/.test(told.message), String(told));
    await Promise.allSettled([refused.server]);
    assertEquals(refused.clientProvider.ledger.live, 0);
  });
}
