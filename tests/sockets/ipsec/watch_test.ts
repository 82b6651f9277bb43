/** Connections that end when their association changes: on a simulated network, and over answers written out. */

import {
  assertEquals,
  assertRejects,
  assertStrictEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { test } from "@test";
import { SecurityRequirementError, StateError, TransportError } from "../../../errors.ts";
import { simulate } from "../../../testing/simulator/simulate.ts";
import type { SecurityAnswer } from "../../../ffi/ipsec/query.ts";
import { ipsec } from "../../../plugins/ipsec/mod.ts";
import type { AssociationField } from "../../../contract.ts";
import { createRegistry } from "../../../plugins/registry.ts";
import { AssociationWatch } from "../../../sockets/ipsec/watch.ts";
import { openDatagrams } from "../../../sockets/ipsec/open_datagrams.ts";
import type { SocketQuery } from "../../../sockets/ipsec/query.ts";
import { withPair } from "../../support/ipsec_pair.ts";

const WITHOUT_MUTUAL = { mutualAuthentication: false } as const;
const MAIN: readonly AssociationField[] = ["mainModeSa"];
const QUICK: readonly AssociationField[] = ["quickModeSa"];
const BOTH: readonly AssociationField[] = ["mainModeSa", "quickModeSa"];
const encode = (text: string) => new TextEncoder().encode(text);

const CASES: readonly (readonly [readonly AssociationField[], "main" | "quick", AssociationField | null])[] =
  [
    [MAIN, "main", "mainModeSa"],
    [MAIN, "quick", null],
    [QUICK, "main", null],
    [QUICK, "quick", "quickModeSa"],
    [BOTH, "main", "mainModeSa"],
    [BOTH, "quick", "quickModeSa"],
  ];

for (const [watched, mode, changed] of CASES) {
  test(
    `abortOnAssociationChange ${watched.join(" and ")}: a new ${mode} mode ` +
      `${changed ? "ends" : "does not affect"} the connection`,
    () =>
      withPair(
        { requirements: WITHOUT_MUTUAL, ipsec: { abortOnAssociationChange: watched } },
        async ({ client, server, network }) => {
          const reading = client.read(new Uint8Array(8)).catch((error) => error);
          network.rekey("client", "server", mode);
          if (changed === null) {
            await server.write(encode("still"));
            assertEquals(await reading, 5);
            const now = (await client.querySecurity()).details;
            const field = mode === "main" ? "mainModeSa" : "quickModeSa";
            assertEquals(now[field] === client.security.details[field], false, "it has still changed");
            return;
          }
          const error = await reading;
          assertEquals([error.name, error.required], [
            "SecurityRequirementError",
            "abortOnAssociationChange",
          ]);
          const { [changed]: before } = client.security.details;
          assertStringIncludes(error.got, `${changed} has changed from ${before} to `);
          assertEquals(error.cause.codeName, "ERROR_CONNECTION_ABORTED");
          assertStrictEquals(await client.write(encode("x")).catch((later) => later), error, "it is final");
          const there = await server.read(new Uint8Array(8)).catch((error) => error);
          assertEquals([there.name, there.required], [error.name, error.required], "both ends watch");
        },
      ),
  );
}

test("abortOnAssociationChange: nothing is watched by default", () =>
  withPair({ requirements: WITHOUT_MUTUAL }, async ({ client, server, network }) => {
    network.rekey("client", "server", "main");
    network.rekey("server", "client", "quick");
    await client.write(encode("on"));
    assertEquals(await server.read(new Uint8Array(8)), 2);
    await client.querySecurity();
  }));

test("abortOnAssociationChange at one end only: the other end sees a connection that was reset", () =>
  withPair({
    requirements: WITHOUT_MUTUAL,
    ipsec: { abortOnAssociationChange: QUICK },
    serverIpsec: {},
  }, async ({ client, server, network }) => {
    const reading = server.read(new Uint8Array(8)).catch((error) => error);
    network.rekey("client", "server", "quick");
    const there = await reading;
    assertEquals([there instanceof TransportError, there.codeName], [true, "ERROR_NETNAME_DELETED"]);
    await assertRejects(() => client.write(encode("x")), SecurityRequirementError, "Connect again");
  }));

test("querySecurity() after the change reports it too, and closes the connection", () =>
  withPair({
    requirements: WITHOUT_MUTUAL,
    ipsec: { abortOnAssociationChange: QUICK },
  }, async ({ client, network }) => {
    await client.querySecurity();
    network.rekey("client", "server", "quick");
    const error = await assertRejects(() => client.querySecurity(), SecurityRequirementError, "quickModeSa");
    assertStrictEquals(await client.read(new Uint8Array(1)).catch((later) => later), error);
  }));

test("if the system does not report why it aborted a connection, the error names the possible cause", () =>
  withPair({
    requirements: WITHOUT_MUTUAL,
    ipsec: { abortOnAssociationChange: BOTH },
    abortedQuery: "WSAECONNRESET",
  }, async ({ client, network }) => {
    const reading = client.read(new Uint8Array(8)).catch((error) => error);
    network.rekey("client", "server", "quick");
    const error = await reading;
    assertEquals([error.name, error.codeName], ["TransportError", "ERROR_CONNECTION_ABORTED"]);
    assertStringIncludes(error.message, "abortOnAssociationChange watches mainModeSa and quickModeSa");
    assertEquals(error.cause.name, "NativeError");
  }));

test("connections of other hosts are not affected", async () => {
  const terms = { requirements: WITHOUT_MUTUAL, ipsec: { abortOnAssociationChange: BOTH } };
  await withPair(terms, async ({ client, server, network }) => {
    network.rekey("client", "somebody", "main");
    network.rekey("somebody", "server", "quick");
    await client.write(encode("on"));
    assertEquals(await server.read(new Uint8Array(8)), 2);
  });
});

test("bytes in transit when the association changes do not arrive", () =>
  withPair({
    requirements: WITHOUT_MUTUAL,
    ipsec: { abortOnAssociationChange: QUICK },
  }, async ({ client, server, network }) => {
    await client.write(encode("too late"));
    network.rekey("client", "server", "quick");
    await assertRejects(() => server.read(new Uint8Array(8)), SecurityRequirementError);
  }));

test("abortOnAssociationChange is refused for datagrams before anything is opened", async () => {
  const network = simulate();
  using system = network.host("client");
  const registry = createRegistry([ipsec({ abortOnAssociationChange: QUICK })]);
  const error = await assertRejects(
    () => openDatagrams({ registry, system, requirements: WITHOUT_MUTUAL }),
    SecurityRequirementError,
    "Datagrams have no connection",
  );
  assertEquals(error.required, "abortOnAssociationChange");
  assertEquals(network.held(), { handles: 0, allocations: 0 });
});

test("rekey() refuses an unknown mode", () => {
  assertThrows(() => simulate().rekey("a", "b", "extended" as never), TypeError, '"main" or "quick"');
});

const SECURED: SecurityAnswer = {
  impersonated: false,
  secured: true,
  encrypted: true,
  userToken: 0n,
  machineToken: 0n,
  mainModeSa: 5n,
  quickModeSa: 6n,
  negotiationError: 0,
  lookupContext: "00000000-0000-0000-0000-000000000000",
};

/** A watch over answers in order; an error is thrown. */
function watching(fields: readonly AssociationField[], ...answers: (Partial<SecurityAnswer> | Error)[]) {
  const asked: (readonly AssociationField[] | undefined)[] = [];
  const query = {
    ask(watched?: readonly AssociationField[]) {
      asked.push(watched);
      const next = answers.shift();
      if (next instanceof Error) throw next;
      return { ...SECURED, ...next };
    },
  } as unknown as SocketQuery;
  return { watch: new AssociationWatch(fields, query), asked };
}

test("a watch queries once for each check, and not at all if nothing is watched", () => {
  const { watch, asked } = watching(QUICK, {}, {});
  watch.arm(SECURED);
  watch.arm(SECURED);
  assertEquals(asked, [QUICK, QUICK]);
  const none = watching([]);
  none.watch.arm(SECURED);
  assertEquals(none.asked, []);
});

test("a system that names no association to watch is not relied on", () => {
  for (const [fields, told] of [[MAIN, { mainModeSa: 0n }], [BOTH, { quickModeSa: 0n }]] as const) {
    const { watch, asked } = watching(fields);
    assertThrows(() => watch.arm({ ...SECURED, ...told }), SecurityRequirementError, "cannot be watched");
    assertEquals(asked, []);
  }
});

test("an association that changes between the query and the watch is detected", () => {
  const { watch } = watching(QUICK, { quickModeSa: 7n });
  const error = assertThrows(() => watch.arm(SECURED), SecurityRequirementError);
  assertEquals(error.got, "quickModeSa has changed from 6 to 7");
});

test("an association that has changed without an abort is detected by the next query", () => {
  const { watch } = watching(BOTH, {}, {});
  watch.arm(SECURED);
  assertThrows(() => watch.arm({ ...SECURED, mainModeSa: 9n }), SecurityRequirementError, "from 5 to 9");
});

test("a watch whose answer is weaker than the previous one is refused", () => {
  for (const weaker of [{ secured: false }, { encrypted: false }]) {
    const { watch } = watching(QUICK, weaker);
    assertThrows(() => watch.arm(SECURED), SecurityRequirementError, "its protection has changed");
  }
});

test("a field that the watching answer leaves out proves nothing, because the previous answer had it", () => {
  watching(QUICK, { mainModeSa: 0n, quickModeSa: 0n }).watch.arm(SECURED);
});

test("the reason why a connection ended is reported if it is known, and other errors are unchanged", () => {
  const aborted = new TransportError("ERROR_CONNECTION_ABORTED", "Cannot receive.");
  const after = (now: Partial<SecurityAnswer> | Error, error: Error = aborted) => {
    const { watch } = watching(QUICK, {}, now);
    watch.arm(SECURED);
    return watch.explain(error) as Error;
  };
  assertEquals(after({ quickModeSa: 7n }).name, "SecurityRequirementError");
  assertStrictEquals(after({}), aborted, "all is told, and is as it was");
  assertStringIncludes(after({ quickModeSa: 0n }).message, "the system does not report which");
  assertStringIncludes(after(new StateError("closed")).message, "the system does not report which");
  const timedOut = new TransportError("ERROR_SEM_TIMEOUT", "Cannot receive.");
  assertStrictEquals(after({ quickModeSa: 7n }, timedOut), timedOut);
  assertStrictEquals(watching(QUICK).watch.explain(aborted), aborted, "nothing was watched yet");
});
