/** saslClient() and saslServer() against each other and against hostile peers, over a real realm. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { Buffer } from "node:buffer";
import { AuthenticationError, ProtocolError, SecurityRequirementError, StateError } from "../../errors.ts";
import { openInitiator } from "../../contexts/open.ts";
import type { ContextProvider, ProviderCredentials } from "../../contract.ts";
import { negotiate } from "../../plugins/negotiate/mod.ts";
import { createRegistry } from "../../plugins/registry.ts";
import {
  saslClient,
  type SaslClientOptions,
  type SaslMechanism,
  saslServer,
  type SaslServerOptions,
  type SecurityLayer,
} from "../../sasl/mod.ts";
import { bytes, TARGET } from "../support/gss.ts";
import { inRealm, noRealm } from "../support/kerberos.ts";
import { toyProvider, toySystem } from "../support/toy_provider.ts";
import { atChoice, atOffer, converse, duplexPair, withPair } from "../support/sasl.ts";

const skip = noRealm;
const MECHANISMS: SaslMechanism[] = ["GSSAPI", "GSS-SPNEGO"];
const ALL: SecurityLayer[] = ["none", "integrity", "confidentiality"];

test(
  "saslClient() and saslServer() agree on the strongest layer that both accept",
  () =>
    inRealm(async (realm, system) => {
      const cases: [SecurityLayer[] | undefined, SecurityLayer[] | undefined, SecurityLayer][] = [
        [undefined, undefined, "confidentiality"],
        [ALL, ALL, "confidentiality"],
        [["none", "integrity"], ALL, "integrity"],
        [["none"], ALL, "none"],
      ];
      // The server's word counts, too; in GSS-SPNEGO it has none but to refuse.
      const more: typeof cases = [[ALL, ["none", "integrity"], "integrity"], [ALL, ["none"], "none"]];
      for (const mechanism of MECHANISMS) {
        for (const [ours, theirs, layer] of mechanism === "GSSAPI" ? [...cases, ...more] : cases) {
          const options = { client: { layers: ours }, server: { layers: theirs } };
          await withPair(mechanism, system, options, async (client, server) => {
            const legs = await converse(client, server);
            assertEquals([client.layer, server.layer, client.done, server.done], [layer, layer, true, true]);
            assertEquals([server.peer.name, server.authorizationId], [`alice@${realm.realm}`, ""]);
            assertEquals(client.context.security.mutualAuthentication, true);
            assertEquals(legs, mechanism === "GSSAPI" ? 3 : 1);
            const sizes = [client.maxSend, server.maxSend];
            if (layer === "none") assertEquals(sizes, [0, 0]);
            else assert(sizes.every((size) => size > 65_000 && size < 65_536), `${sizes}`);
          });
        }
      }
    }),
  { skip },
);

test("saslServer() of GSS-SPNEGO refuses a layer whose context does not detect replay or reordering", async () => {
  const framing = Buffer.from("604006062b0601050502", "hex");
  for (const missing of ["replayDetection", "sequenceDetection"]) {
    const toy = toyProvider({ name: "negotiate", attributes: { [missing]: false } });
    const provider: ContextProvider = {
      ...toy,
      async acquire(acquiring) {
        const credentials = await toy.acquire(acquiring);
        const server: ProviderCredentials["server"] = (given) => {
          const context = credentials.server(given);
          const step = context.step.bind(context);
          return Object.assign(context, {
            step: (token: Uint8Array) => step(token.subarray(framing.length)),
          });
        };
        return { ...credentials, server };
      },
    };
    const options = {
      mechanism: "GSS-SPNEGO",
      registry: createRegistry([provider]),
      system: toySystem(),
      layers: ALL,
    } as const;
    using initiator = await openInitiator({ registry: options.registry, system: options.system });
    using client = initiator.initiate({ target: TARGET });
    using server = await saslServer({ ...options, acceptedTargets: [TARGET] });
    const { token } = await client.step();
    await assertRejects(
      () => server.next(Buffer.concat([framing, token!])),
      SecurityRequirementError,
      "replay and sequence detection",
    );
  }
});

test(
  "saslServer() of GSS-SPNEGO refuses a client that asks for a layer which it does not accept",
  () =>
    inRealm(async (_, system) => {
      const cases: [SecurityLayer, SecurityLayer[]][] = [
        ["none", ["integrity"]],
        ["integrity", ["confidentiality"]],
        ["confidentiality", ["none"]],
        ["integrity", ["none", "confidentiality"]],
      ];
      for (const [asked, layers] of cases) {
        await withPair(
          "GSS-SPNEGO",
          system,
          { client: { layers: [asked] }, server: { layers } },
          async (client, server) => {
            const response = await client.start();
            await assertRejects(() => server.next(response), SecurityRequirementError);
            assertEquals(server.done, false);
            assertThrows(() => server.peer, StateError, "failed");
          },
        );
      }
    }),
  { skip },
);

test(
  "maxReceive is what the other end keeps to",
  () =>
    inRealm(async (_, system) => {
      const options = { client: { maxReceive: 2000 }, server: { maxReceive: 5000 } };
      await withPair("GSSAPI", system, options, async (client, server) => {
        await converse(client, server);
        assert(server.maxSend < 2000 && server.maxSend > 1900, `${server.maxSend}`);
        assert(client.maxSend < 5000 && client.maxSend > 4900, `${client.maxSend}`);
        const record = client.context.wrap(new Uint8Array(client.maxSend));
        assert(record.length <= 5000, `${record.length}`);
      });
    }),
  { skip },
);

test(
  "an authorization identity needs the server's leave, unless it is the client's own name",
  () =>
    inRealm(async (realm, system) => {
      const alice = `alice@${realm.realm}`;
      const outcome = async (
        authorizationId: string,
        authorize?: SaslServerOptions["authorize"],
      ): Promise<string> => {
        let said = "";
        await withPair(
          "GSSAPI",
          system,
          { client: { authorizationId }, server: { authorize } },
          async (client, server) => {
            const conversing = converse(client, server);
            const failure = await conversing.then(() => null, (error) => error);
            if (failure === null) return said = server.authorizationId;
            assert(failure instanceof AuthenticationError);
            assertEquals([client.done, server.done], [true, false]);
            said = "refused";
          },
        );
        return said;
      };
      assertEquals(await outcome(alice), alice);
      assertEquals(await outcome("bob"), "refused");
      assertEquals(await outcome("alice"), "refused");
      assertEquals(await outcome("bób", ({ name }, id) => name === alice && id === "bób"), "bób");
      assertEquals(await outcome("bob", () => Promise.resolve(false)), "refused");
      assertEquals(await outcome("bob", () => "yes" as unknown as boolean), "refused");
    }),
  { skip },
);

test(
  "channel bindings: the layer is then none, and others than the server's are refused",
  () =>
    inRealm(async (_, system) => {
      const channelBindings = bytes("tls-server-end-point:ours");
      for (const mechanism of MECHANISMS) {
        await withPair(
          mechanism,
          system,
          { client: { channelBindings }, server: { channelBindings } },
          async (client, server) => {
            await converse(client, server);
            assertEquals([client.layer, server.context.security.channelBindings], ["none", "verified"]);
          },
        );
        const other = {
          client: { channelBindings: bytes("tls-server-end-point:theirs") },
          server: { channelBindings },
        };
        await withPair(mechanism, system, other, async (client, server) => {
          const error = await assertRejects(() => converse(client, server), AuthenticationError);
          assertEquals(error.reason, "channel-bindings");
        });
      }
    }),
  { skip },
);

test(
  "saslClient() refuses offers without a common layer, and sizes that hold no data",
  () =>
    inRealm(async (_, system) => {
      const offers: [SecurityLayer[], number[], string][] = [
        [["confidentiality"], [3, 0, 255, 255], "accepts confidentiality"],
        [["integrity"], [5, 0, 255, 255], "accepts integrity"],
        [["none"], [6, 0, 255, 255], "accepts none"],
        [ALL, [0, 0, 255, 255], "no known kind"],
        [ALL, [8, 0, 255, 255], "no known kind"],
        [ALL, [4, 0, 0, 0], "hold no data"],
        [ALL, [7, 0, 0, 0], "hold no data"],
        [ALL, [4, 0, 0, 1], "hold no data"],
        [ALL, [4, 0, 0, 60], "hold no data"],
        [["integrity"], [2, 0, 0, 28], "hold no data"],
        [ALL, [4, 0, 255], "has 3 bytes"],
        [ALL, [4, 0, 255, 255, 0], "has 5 bytes"],
        [ALL, [], "has 0 bytes"],
      ];
      for (const [layers, offer, text] of offers) {
        await atOffer(system, { layers }, async (client, server) => {
          const record = server.wrap(Uint8Array.from(offer), { encrypt: false });
          const error = await assertRejects(() => client.next(record), Error, text);
          assert(error instanceof ProtocolError || error instanceof AuthenticationError);
          assertEquals(client.done, false);
          await assertRejects(() => client.finish(), StateError, "failed");
          assertThrows(() => client.protect(duplexPair()[0]), StateError, "failed");
        });
      }
      // One byte more than what holds none.
      await atOffer(system, { layers: ["integrity"] }, async (client, server) => {
        await client.next(server.wrap(Uint8Array.of(2, 0, 0, 29), { encrypt: false }));
        await client.finish();
        assertEquals(client.maxSend, 1);
      });
    }),
  { skip },
);

test(
  "saslClient() takes no offer but one that is whole and wrapped by the server",
  () =>
    inRealm(async (_, system) => {
      await atOffer(system, {}, async (client) => {
        await assertRejects(() => client.next(Uint8Array.of(7, 0, 255, 255)), ProtocolError);
      });
      await atOffer(system, {}, async (client) => {
        await assertRejects(() => client.next(new Uint8Array()), ProtocolError);
      });
      await fc.assert(
        fc.asyncProperty(fc.nat({ max: 31 }), fc.integer({ min: 0, max: 7 }), (place, bit) =>
          atOffer(system, {}, async (client, server) => {
            const record = server.wrap(Uint8Array.of(7, 0, 255, 255), { encrypt: false });
            assertEquals(record.length, 32);
            // RFC 4121's rotation count is not protected: a multiple of the length more is the same message.
            if (place === 6 || place === 7) {
              return;
            }
            record[place] ^= 1 << bit;
            const error = await assertRejects(() =>
              client.next(record), Error);
            assert(error instanceof ProtocolError, `${error}`);
          })),
        { numRuns: 12 },
      );
    }),
  { skip },
);

test(
  "saslClient() believes no success before the exchange is over, and no challenge after it",
  () =>
    inRealm(async (_, system) => {
      for (const mechanism of MECHANISMS) {
        const fresh = () => saslClient({ mechanism, target: TARGET, system });
        using unstarted = await fresh();
        await assertRejects(() => unstarted.finish(), ProtocolError, "says success before");
        using started = await fresh();
        await started.start();
        await assertRejects(() => started.finish(), ProtocolError, "says success before");
        assertThrows(() => started.layer, StateError, "failed");
        using garbage = await fresh();
        await garbage.start();
        await assertRejects(() => garbage.finish(bytes("welcome")), Error);
        assertEquals(garbage.done, false);
      }
      await atOffer(system, {}, async (client) => {
        await assertRejects(() => client.finish(), ProtocolError, "says success before");
      });
      await atOffer(system, {}, async (client, server) => {
        const offer = () => server.wrap(Uint8Array.of(7, 0, 255, 255), { encrypt: false });
        await client.next(offer());
        assertThrows(() => client.layer, StateError, "finish()");
        await assertRejects(() => client.next(offer()), ProtocolError, "goes on with a challenge");
        await assertRejects(() => client.finish(), StateError, "failed");
      });
      await atOffer(system, {}, async (client, server) => {
        await client.next(server.wrap(Uint8Array.of(7, 0, 255, 255), { encrypt: false }));
        await assertRejects(() => client.finish(bytes("more")), ProtocolError, "sends data with its success");
      });
      await withPair("GSS-SPNEGO", system, {}, async (client, server) => {
        const { challenge } = await server.next(await client.start());
        await client.next(challenge!);
        assertEquals(client.done, true);
        await assertRejects(() => client.next(challenge!), ProtocolError, "goes on with a challenge");
      });
    }),
  { skip },
);

test(
  "saslServer() refuses choices of what was not offered, of more than one layer, and of sizes that hold no data",
  () =>
    inRealm(async (_, system) => {
      const layers: SecurityLayer[] = ["integrity", "confidentiality"];
      const choices: [number[], string][] = [
        [[1, 0, 0, 0], "does not choose"],
        [[6, 0, 255, 255], "does not choose"],
        [[0, 0, 255, 255], "does not choose"],
        [[4, 0, 255], "does not choose"],
        [[4, 0, 0, 0], "hold no data"],
        [[2, 0, 0, 28], "hold no data"],
        [[4, 0, 255, 255, 0xff], "UTF-8"],
      ];
      for (const [choice, text] of choices) {
        await atChoice(system, { layers }, async (server, client, offer) => {
          assertEquals(offer, Uint8Array.of(6, 1, 0, 0));
          const record = client.wrap(Uint8Array.from(choice), { encrypt: false });
          assertEquals(server.context.done, true);
          await assertRejects(() => server.next(record), ProtocolError, text);
          assertEquals([server.done, server.context.done], [false, false]);
          await assertRejects(() => server.next(record), StateError, "failed");
        });
      }
      await atChoice(system, { layers }, async (server, client) => {
        const record = client.wrap(Uint8Array.of(4, 0, 255, 255), { encrypt: false });
        record[record.length - 1] ^= 1;
        await assertRejects(() => server.next(record), ProtocolError);
      });
      await atChoice(system, { layers: ["none"] }, async (server, client, offer) => {
        assertEquals(offer, Uint8Array.of(1, 0, 0, 0));
        const choice = () => client.wrap(Uint8Array.of(1, 0, 0, 0), { encrypt: false });
        assertEquals(await server.next(choice()), { challenge: null, done: true });
        await assertRejects(() => server.next(choice()), StateError, "complete");
      });
      await withPair("GSSAPI", system, {}, async (client, server) => {
        await server.next(await client.start());
        await assertRejects(() => server.next(bytes("more")), ProtocolError, "sends more");
      });
    }),
  { skip },
);

test(
  "tokens of another mechanism are refused at both ends",
  () =>
    inRealm(async (_, system) => {
      const registry = createRegistry([negotiate()]);
      using client = await saslClient({ mechanism: "GSSAPI", target: TARGET, registry, system });
      const error = await assertRejects(() => client.start(), AuthenticationError, "kerberos()");
      assertEquals(error.reason, "mechanism");
      for (const [ours, theirs] of [MECHANISMS, [...MECHANISMS].reverse()]) {
        using client = await saslClient({ mechanism: ours, target: TARGET, system });
        using server = await saslServer({ mechanism: theirs, acceptedTargets: [TARGET], system });
        const response = await client.start();
        await assertRejects(() => server.next(response), AuthenticationError, "not of");
      }
      using server = await saslServer({ mechanism: "GSSAPI", acceptedTargets: [TARGET], system });
      await assertRejects(() => server.next(new Uint8Array()), AuthenticationError, "not of");
      await fc.assert(
        fc.asyncProperty(fc.uint8Array({ maxLength: 80 }), async (token) => {
          using server = await saslServer({ mechanism: "GSSAPI", acceptedTargets: [TARGET], system });
          await assertRejects(() => server.next(token), AuthenticationError);
        }),
        { numRuns: 30 },
      );
    }),
  { skip },
);

test(
  "calls in the wrong state are StateErrors, wrong arguments TypeErrors, and closing ends a call under way",
  () =>
    inRealm(async (_, system) => {
      await withPair("GSSAPI", system, {}, async (client, server) => {
        assertThrows(() => client.layer, StateError, "finish()");
        assertThrows(() => server.layer, StateError, "done");
        assertThrows(() => client.next("x" as unknown as Uint8Array), TypeError, "challenge");
        assertThrows(() => client.finish(5 as unknown as Uint8Array), TypeError, "data");
        assertThrows(() => server.next(null as unknown as Uint8Array), TypeError, "response");
        const starting = client.start();
        await assertRejects(() => client.start(), StateError, "await each one");
        const { challenge } = await server.next(await starting);
        const going = client.next(challenge!);
        client.close();
        await assertRejects(() => going, StateError, "closed");
        await assertRejects(() => client.next(challenge!), StateError, "closed");
        assertEquals(client.done, false);
      });
      const server: { close?: () => void } = {};
      const authorize = () => {
        server.close!();
        return true;
      };
      await withPair(
        "GSSAPI",
        system,
        { client: { authorizationId: "bob", layers: ["none"] }, server: { authorize, layers: ["none"] } },
        async (client, one) => {
          server.close = () => one.close();
          await assertRejects(() => converse(client, one), StateError, "abandoned");
          assertEquals(one.done, false);
        },
      );
      using again = await saslClient({ mechanism: "GSSAPI", target: TARGET, system });
      await again.start();
      await assertRejects(() => again.start(), StateError, "has been called");
      using early = await saslClient({ mechanism: "GSSAPI", target: TARGET, system });
      await assertRejects(() => early.next(new Uint8Array()), StateError, "start()");
      const reason = new Error("enough");
      const signal = AbortSignal.abort(reason);
      const aborted = () => saslClient({ mechanism: "GSSAPI", target: TARGET, system, signal });
      assertEquals(await assertRejects(aborted, Error), reason);
      await withPair(
        "GSSAPI",
        system,
        { client: { layers: ["integrity"] }, server: { layers: ALL } },
        async (client, server) => {
          await converse(client, server);
          assertThrows(() => client.protect({} as never), TypeError, "socket");
          const [near, far] = duplexPair();
          const stream = client.protect(near);
          assertThrows(
            () => client.protect(near),
            StateError,
            "one stream",
          );
          client.close();
          assertEquals(client.context.done, true);
          stream.destroy();
          far.destroy();
          assertEquals(client.context.done, false);
        },
      );
    }),
  { skip },
);

test("wrong options are refused by name before anything is opened", async () => {
  const both: [Record<string, unknown>, string][] = [
    [{ mechanism: "PLAIN" }, "options.mechanism"],
    [{ layers: [] }, "options.layers"],
    [{ layers: ["strong"] }, "options.layers"],
    [{ layers: "none" }, "options.layers"],
    [{ maxReceive: 100 }, "options.maxReceive"],
    [{ maxReceive: 0x1000000 }, "options.maxReceive"],
    [{ maxReceive: "1" }, "options.maxReceive"],
    [{ requirements: { integrity: true } }, "options.requirements.integrity"],
    [{ requirements: { confidentiality: false } }, "options.requirements.confidentiality"],
    [{ requirements: { mutualAuthentication: false } }, "mutualAuthentication must not be false"],
    [{ requirements: { delegated: true } }, "requirements.delegated"],
    [{ requirements: 5 }, "requirements"],
    [{ channelBindings: "x" }, "options.channelBindings"],
    [{ credentials: { username: "x" } }, "options.credentials.password"],
    [{ registry: {} }, "options.registry"],
    [{ system: 5 }, "options.system"],
    [{ signal: {} }, "options.signal"],
    [{ colour: "red" }, "options.colour is not known"],
  ];
  const clients: typeof both = [
    [{ target: "here" }, "options.target"],
    [{ target: undefined }, "options.target"],
    [{ authorizationId: "" }, "options.authorizationId"],
    [{ authorizationId: "a\0b" }, "options.authorizationId"],
    [{ authorizationId: "\ud800" }, "options.authorizationId"],
    [{ mechanism: "GSS-SPNEGO", authorizationId: "bob" }, "options.authorizationId cannot be said"],
  ];
  const servers: typeof both = [
    [{ acceptedTargets: undefined }, "options.acceptedTargets"],
    [{ acceptedTargets: [] }, "options.acceptedTargets"],
    [{ authorize: true }, "options.authorize"],
    [{ channelBindingPolicy: "always" }, "needs options.channelBindings"],
    [{ channelBindingPolicy: "sometimes" }, "options.channelBindingPolicy must be one of"],
  ];
  for (const [wrong, text] of [...both, ...clients]) {
    const options = { mechanism: "GSSAPI", target: TARGET, ...wrong } as SaslClientOptions;
    await assertRejects(() => saslClient(options), Error, text);
  }
  for (const [wrong, text] of [...both, ...servers]) {
    const options = { mechanism: "GSSAPI", acceptedTargets: [TARGET], ...wrong } as SaslServerOptions;
    await assertRejects(() => saslServer(options), Error, text);
  }
});
