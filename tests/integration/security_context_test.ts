/** openInitiator() and openAcceptor() against each other, over a real realm. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { test } from "@test";
import { openAcceptor, openInitiator } from "../../contexts/open.ts";
import type { Acceptor, Initiator, SecurityContext } from "../../contract.ts";
import { AuthenticationError, ProtocolError, SecurityRequirementError, StateError } from "../../errors.ts";
import { kerberos, negotiate } from "../../plugins/negotiate/mod.ts";
import { ntHash, ntlm } from "../../plugins/ntlm/mod.ts";
import { createRegistry } from "../../plugins/registry.ts";
import { bytes, includes, TARGET } from "../support/gss.ts";
import { inRealm, noRealm } from "../support/kerberos.ts";

const skip = noRealm;
const PLAIN = bytes("attack at dawn");

/** Exchanges tokens until both ends are done. */
async function exchange(client: SecurityContext, server: SecurityContext): Promise<void> {
  let { token } = await client.step();
  while (token !== null) {
    const answer = await server.step(token);
    if (answer.token === null) break;
    ({ token } = await client.step(answer.token));
  }
  assertEquals([client.done, server.done], [true, true]);
}

async function between(
  initiator: Initiator,
  acceptor: Acceptor,
  body: (client: SecurityContext, server: SecurityContext) => unknown,
): Promise<void> {
  using client = initiator.initiate({ target: TARGET });
  using server = acceptor.accept();
  await exchange(client, server);
  await body(client, server);
}

test(
  "a context reports what was verified, and protects messages both ways",
  () =>
    inRealm(async (realm, system) => {
      const requirements = { confidentiality: true };
      using initiator = await openInitiator({ system, requirements });
      using acceptor = await openAcceptor({ system, acceptedTargets: [TARGET], requirements });
      await between(initiator, acceptor, (client, server) => {
        const { mechanism, mutualAuthentication, channelBindings } = client.security;
        assertEquals([mechanism, mutualAuthentication, channelBindings], ["kerberos", true, "none"]);
        assertEquals(server.security.requestedTarget, `${TARGET}@${realm.realm}`);
        assertEquals(server.peer?.name, `alice@${realm.realm}`);
        for (const [from, to] of [[client, server], [server, client]]) {
          const record = from.wrap(PLAIN);
          assert(!includes(record, PLAIN));
          assertEquals(to.unwrap(record), { data: PLAIN, encrypted: true });
          const signed = from.wrap(PLAIN, { encrypt: false });
          assert(includes(signed, PLAIN));
          assertEquals(to.unwrap(signed, { allowUnencrypted: true }), { data: PLAIN, encrypted: false });
          const error = assertThrows(() => to.unwrap(from.wrap(PLAIN, { encrypt: false })), ProtocolError);
          assertEquals(error.reason, "not-encrypted");
          to.verify(PLAIN, from.sign(PLAIN));
          const into = new Uint8Array(200);
          const filled = from.wrap(PLAIN, { into });
          assertEquals([filled.buffer === into.buffer, to.unwrap(filled).data], [true, PLAIN]);
          const data = PLAIN.slice();
          const header = from.wrapDetached(data);
          assertEquals(to.unwrapDetached(header, data), PLAIN);
        }
        assertEquals(client.sessionKey(), server.sessionKey());
        assert(client.wrapSizeLimit(1000) > 900 && client.wrapSizeLimit(1000, { encrypt: false }) > 960);
      });
    }),
  { skip },
);

test(
  "wrap() without a requirement for messages throws, and names the requirement",
  () =>
    inRealm(async (_, system) => {
      using initiator = await openInitiator({ system });
      using acceptor = await openAcceptor({ system });
      await between(initiator, acceptor, (client) => {
        assertThrows(() => client.wrap(PLAIN), SecurityRequirementError, "Require it on both");
        assertThrows(
          () => client.wrap(PLAIN, { encrypt: true }),
          SecurityRequirementError,
          "confidentiality",
        );
      });
      const requirements = { integrity: true };
      using signing = await openInitiator({ system, requirements });
      await between(signing, acceptor, (client, server) => {
        const record = client.wrap(PLAIN);
        assert(includes(record, PLAIN));
        assertEquals(server.unwrap(record), { data: PLAIN, encrypted: false });
        assertThrows(
          () => client.wrap(PLAIN, { encrypt: true }),
          SecurityRequirementError,
          "confidentiality",
        );
      });
    }),
  { skip },
);

test(
  "a context throws a StateError before it is done, and after it is closed or has failed",
  () =>
    inRealm(async (_, system) => {
      using initiator = await openInitiator({ system });
      using acceptor = await openAcceptor({ system });
      const client = initiator.initiate({ target: TARGET });
      const server = acceptor.accept();
      const uses: ((context: SecurityContext) => unknown)[] = [
        (context) => context.security,
        (context) => context.peer,
        (context) => context.wrap(PLAIN),
        (context) => context.unwrap(PLAIN.slice()),
        (context) => context.sign(PLAIN),
        (context) => context.verify(PLAIN, PLAIN),
        (context) => context.sessionKey(),
        (context) => context.takeDelegated(),
        (context) => context.wrapSizeLimit(100),
        (context) => context.maxOverhead,
      ];
      for (const use of uses) assertThrows(() => use(client), StateError, "done");
      await assertRejects(() => server.step(), TypeError, "token");
      const { token } = await client.step();
      const failed = acceptor.accept();
      await assertRejects(() => failed.step(token!.slice(0, 40)), AuthenticationError);
      for (const use of uses) assertThrows(() => use(failed), StateError, "has failed");
      await assertRejects(() => failed.step(token!), StateError, "has failed");
      failed.close();
      const stepping = server.step(token!);
      await assertRejects(() => server.step(token!), StateError, "under way");
      await client.step((await stepping).token);
      await assertRejects(() => server.step(token!), StateError, "complete");
      client.close();
      server.close();
      client.close();
      for (const use of uses) assertThrows(() => use(client), StateError, "is closed");
      await assertRejects(() => client.step(token!), StateError, "is closed");
    }),
  { skip },
);

test(
  "an acceptor accepts SPNEGO, bare Kerberos and bare NTLM, each only where the registry lists a provider for it",
  () =>
    inRealm(async (_, system) => {
      const accounts = () => ntHash("Bob1234!");
      const requirements = { mutualAuthentication: false };
      const all = createRegistry([negotiate(), kerberos(), ntlm({ accounts })]);
      const credentials = { username: "bob", domain: "MIT", password: "Bob1234!" };
      using spnego = await openInitiator({ system, registry: createRegistry([negotiate()]) });
      using bare = await openInitiator({ system, registry: createRegistry([kerberos()]) });
      const ntlmOnly = createRegistry([ntlm()]);
      using raw = await openInitiator({ system, registry: ntlmOnly, requirements, credentials });
      using acceptor = await openAcceptor({ system, registry: all, requirements });
      const seen: string[] = [];
      for (const initiator of [spnego, bare, raw]) {
        await between(initiator, acceptor, (_client, server) => {
          seen.push(`${server.security.provider} ${server.security.mechanism}`);
        });
      }
      assertEquals(seen, ["negotiate kerberos", "kerberos kerberos", "ntlm ntlm"]);
      using strict = await openAcceptor({ system, registry: all });
      using few = await openAcceptor({ system, registry: createRegistry([kerberos()]) });
      for (const acceptor of [strict, few]) {
        using client = raw.initiate({ target: TARGET });
        using server = acceptor.accept();
        const { token } = await client.step();
        const error = await assertRejects(() => server.step(token!), AuthenticationError, "NTLM");
        assertEquals(error.reason, "mechanism");
      }
    }),
  { skip },
);

test(
  "an acceptor refuses a client that asked for another name, and does not return its last token",
  () =>
    inRealm(async (_, system) => {
      using initiator = await openInitiator({ system });
      using acceptor = await openAcceptor({ system, acceptedTargets: ["HTTP/other.mit.test"] });
      using client = initiator.initiate({ target: TARGET });
      using server = acceptor.accept();
      const { token } = await client.step();
      const error = await assertRejects(() => server.step(token!), AuthenticationError, "acceptedTargets");
      assertEquals([error.reason, client.done, server.done], ["target-not-accepted", false, false]);
    }),
  { skip },
);

test(
  "channelBindingPolicy: always refuses a client without bindings, whenSupported one with others, never neither",
  () =>
    inRealm(async (_, system) => {
      using initiator = await openInitiator({ system });
      using acceptor = await openAcceptor({ system });
      const [ours, theirs] = [bytes("tls-server-end-point:ours"), bytes("tls-server-end-point:theirs")];
      const outcome = async (
        channelBindings: Uint8Array | undefined,
        channelBindingPolicy: "always" | "whenSupported" | "never",
      ): Promise<string> => {
        using client = initiator.initiate({ target: TARGET, channelBindings });
        using server = acceptor.accept({ channelBindings: ours, channelBindingPolicy });
        try {
          await exchange(client, server);
          return `${client.security.channelBindings} ${server.security.channelBindings}`;
        } catch (error) {
          return error instanceof SecurityRequirementError
            ? error.required
            : (error as AuthenticationError).reason;
        }
      };
      assertEquals(await outcome(ours, "always"), "sent verified");
      assertEquals(await outcome(theirs, "always"), "channel-bindings");
      assertEquals(await outcome(undefined, "always"), "channel-bindings");
      assertEquals(await outcome(ours, "whenSupported"), "sent verified");
      assertEquals(await outcome(theirs, "whenSupported"), "channel-bindings");
      assertEquals(await outcome(undefined, "whenSupported"), "none none");
      assertEquals(await outcome(theirs, "never"), "sent none");
      assertThrows(() => acceptor.accept({ channelBindingPolicy: "always" }), TypeError, "channelBindings");
      const wrong = "sometimes" as "never";
      assertThrows(() => acceptor.accept({ channelBindings: ours, channelBindingPolicy: wrong }), TypeError);
    }),
  { skip },
);

test(
  "an initiator whose ticket has expired uses the fresh one in the same cache",
  () =>
    inRealm(async (realm, system) => {
      const cache = `FILE:${realm.dir}/renewed`;
      await realm.kinit("alice", { cache, lifetime: "4s" });
      using initiator = await openInitiator({ system, credentials: { cache } });
      using acceptor = await openAcceptor({ system });
      const begun = Date.now();
      while (Date.now() - begun < 5500) await new Promise((resolve) => setTimeout(resolve, 200));
      const stale = initiator.initiate({ target: TARGET });
      const error = await assertRejects(() => stale.step(), AuthenticationError);
      assertEquals(error.reason, "credentials-expired");
      stale.close();
      await realm.kinit("alice", { cache });
      await Promise.all([1, 2, 3].map(() => between(initiator, acceptor, () => {})));
    }),
  { skip },
);

test(
  "takeDelegated() returns an initiator with the client's credentials, once",
  () =>
    inRealm(async (realm, system) => {
      using initiator = await openInitiator({ system, requirements: { delegation: true } });
      using acceptor = await openAcceptor({ system });
      await between(initiator, acceptor, async (_client, server) => {
        using delegated = server.takeDelegated()!;
        assertEquals(server.takeDelegated(), null);
        await between(
          delegated,
          acceptor,
          (_, again) => assertEquals(again.peer?.name, `alice@${realm.realm}`),
        );
      });
    }),
  { skip },
);

test(
  "an abort ends a step with its reason, and closing ends everything made from an initiator",
  () =>
    inRealm(async (_, system) => {
      const initiator = await openInitiator({ system });
      const reason = new Error("enough");
      const aborted = initiator.initiate({ target: TARGET, signal: AbortSignal.abort(reason) });
      assertEquals(await assertRejects(() => aborted.step(), Error), reason);
      const controller = new AbortController();
      const late = initiator.initiate({ target: TARGET, signal: controller.signal });
      const stepping = late.step();
      controller.abort(reason);
      assertEquals(await assertRejects(() => stepping, Error), reason);
      aborted.close();
      late.close();
      const kept = initiator.initiate({ target: TARGET });
      const { token } = await kept.step();
      assert(token!.length > 0);
      initiator.close();
      initiator.close();
      assertThrows(() => initiator.initiate({ target: TARGET }), StateError, "closed");
      kept.close();
    }),
  { skip },
);

test(
  "a context has a peer only where the peer proved its identity",
  () =>
    inRealm(async (realm, system) => {
      for (const mutualAuthentication of [true, false]) {
        const requirements = { mutualAuthentication };
        using initiator = await openInitiator({ system, requirements });
        using acceptor = await openAcceptor({ system, acceptedTargets: [TARGET], requirements });
        await between(initiator, acceptor, (client, server) => {
          assertEquals(client.peer?.name, mutualAuthentication ? `${TARGET}@${realm.realm}` : undefined);
          assertEquals(server.peer?.user, "alice");
        });
      }
    }),
  { skip },
);

test("openInitiator and openAcceptor refuse wrong options by name before anything is opened", async () => {
  const wrong: [Record<string, unknown>, string][] = [
    [{ registry: {} }, "options.registry"],
    [{ system: 5 }, "options.system"],
    [{ credentials: { username: "x" } }, "options.credentials.password"],
    [{ requirements: { integrity: false, confidentiality: true } }, "integrity"],
    [{ signal: {} }, "options.signal"],
    [{ target: TARGET }, "options.target is not known"],
  ];
  for (const [options, text] of wrong) {
    await assertRejects(() => openInitiator(options), TypeError, text);
    await assertRejects(() => openAcceptor(options), TypeError, text);
  }
  await assertRejects(() => openAcceptor({ acceptedTargets: [] }), TypeError, "options.acceptedTargets");
});
