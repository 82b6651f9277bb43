/** httpSignOn() in a real realm: requests with tokens of this library and of curl, and tokens that must be refused. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "@test";
import { httpSignOn } from "../../http/mod.ts";
import { kerberos, negotiate, ntlm, openInitiator, StateError, type System } from "../../mod.ts";
import { createRegistry } from "../../plugins/mod.ts";
import type { Realm } from "../rig/realm.ts";
import {
  asAlice,
  authorization,
  base64,
  listenNode,
  noCurl,
  openSignOn,
  runCurl,
} from "../support/http_server.ts";
import { inRealmWith } from "../support/gss.ts";
import { inRealm, noRealm } from "../support/kerberos.ts";

const skip = noRealm;
const skipCurl = noRealm ?? await noCurl("SPNEGO");
const NEGOTIATE = ["--negotiate", "--user", ":"];

test(
  "httpSignOn(): a request is signed on by its token, and the answer proves the server to the client",
  () =>
    inRealm(async (_realm, system) => {
      using watched = await openSignOn(system);
      using initiator = await openInitiator({ system });
      using context = initiator.initiate({ target: "HTTP/localhost" });
      const headers = { authorization: `Negotiate ${base64((await context.step()).token!)}` };
      const outcome = await watched.signOn.authenticate(new Headers(headers));
      assert(outcome.signedOn);
      const { name, user, realm, security } = outcome.identity;
      assertEquals([name, user, realm], ["alice@MIT.TEST", "alice", "MIT.TEST"]);
      assertEquals(
        [
          security.mechanism,
          security.requestedTarget,
          security.channelBindings,
          security.mutualAuthentication,
        ],
        ["kerberos", "HTTP/localhost@MIT.TEST", "none", true],
      );
      const [[field, value], ...more] = outcome.headers;
      assertEquals([field, more.length], ["www-authenticate", 0]);
      const answer = Uint8Array.from(atob(value.replace(/^Negotiate /, "")), (unit) => unit.charCodeAt(0));
      assertEquals((await context.step(answer)).done, true);
      assertEquals(context.security.mutualAuthentication, true);
      assertThrows(() => outcome.identity.takeDelegated(), StateError, "acceptDelegation: true");
    }),
  { skip },
);

test(
  "authenticate() remembers nothing: the next request of the same connection is judged by itself",
  () =>
    inRealm((_realm, system) =>
      asAlice(system, async (alice) => {
        using watched = await openSignOn(system);
        const connection = {};
        const first = await watched.signOn.authenticate(
          { authorization: await authorization(alice) },
          connection,
        );
        assertEquals(first.signedOn, true);
        const second = await watched.signOn.authenticate({}, connection);
        assert(!second.signedOn);
        assertEquals([second.status, second.reason], [401, "no-token"]);
      })
    ),
  { skip },
);

test(
  "authenticate() accepts bare Kerberos tokens under Negotiate, as python-requests-kerberos sends them",
  () =>
    inRealm(async (_realm, system) => {
      using watched = await openSignOn(system);
      using initiator = await openInitiator({ system, registry: createRegistry([kerberos()]) });
      const outcome = await watched.signOn.authenticate({ authorization: await authorization(initiator) });
      assert(outcome.signedOn);
      assertEquals(outcome.identity.name, "alice@MIT.TEST");
    }),
  { skip },
);

test(
  "authenticate() refuses tokens for other services by default, and for other names where they are listed",
  () =>
    inRealm((realm, system) =>
      asAlice(system, async (alice) => {
        await realm.addPrincipal("imap/localhost");
        await realm.addPrincipal("HTTP/other.mit.test");
        using watched = await openSignOn(system);
        const judge = async (target: string) =>
          (await watched.signOn.authenticate({ authorization: await authorization(alice, target) })).signedOn;
        assertEquals(await judge("imap/localhost"), false);
        assertEquals(await judge("host/localhost"), false);
        assertEquals(watched.reasons(), ["target-not-accepted", "target-not-accepted"]);
        assertEquals(await judge("HTTP/other.mit.test"), true);
        using strict = await openSignOn(system, { acceptedTargets: ["HTTP/localhost"] });
        const other = await authorization(alice, "HTTP/other.mit.test");
        assertEquals((await strict.signOn.authenticate({ authorization: other })).signedOn, false);
        const own = { authorization: await authorization(alice) };
        assertEquals((await strict.signOn.authenticate(own)).signedOn, true);
        assertEquals(strict.reasons(), ["target-not-accepted"]);
      })
    ),
  { skip },
);

test(
  "authenticate() refuses a token that comes again, where the realm's replay cache is on",
  () =>
    inRealm((_realm, system) =>
      asAlice(system, async (alice) => {
        using watched = await openSignOn(system);
        const headers = { authorization: await authorization(alice) };
        assertEquals((await watched.signOn.authenticate(headers)).signedOn, true);
        assertEquals((await watched.signOn.authenticate(headers)).signedOn, false);
        assertEquals(watched.reasons(), ["bad-token"]);
      }), { rcache: true }),
  { skip },
);

const NTLM_FIRST = base64(new TextEncoder().encode("NTLMSSP\0\x01\0\0\0\x07\x82\x08\0"));

test(
  "authenticate() gives the same answer for every token that it refuses, whatever it offers",
  () =>
    inRealm((realm, system) =>
      asAlice(system, async (alice) => {
        await realm.addPrincipal("HTTP/elsewhere.mit.test", { keytabs: [`${realm.dir}/other.keytab`] });
        const good = await authorization(alice);
        const flipped = good.slice(0, -40) + (good.at(-40) === "A" ? "B" : "A") + good.slice(-39);
        const tokens = [
          await authorization(alice, "HTTP/elsewhere.mit.test"),
          await authorization(alice, "host/localhost"),
          flipped,
          `Negotiate ${base64(new Uint8Array(200))}`,
          `NTLM ${base64(new Uint8Array(200))}`,
          "Basic YWxpY2U6QWxpY2UxMjM0IQ==",
          undefined,
        ];
        const withNtlm = createRegistry([negotiate(), ntlm({ accounts: () => null })]);
        const offers = [
          {
            registry: undefined,
            more: [`Negotiate ${NTLM_FIRST}`, `NTLM ${NTLM_FIRST}`],
            offered: "Negotiate",
          },
          { registry: withNtlm, more: [], offered: "Negotiate, NTLM" },
        ];
        for (const { registry, more, offered } of offers) {
          using watched = await openSignOn(system, { registry });
          const answers: string[] = [];
          for (const authorization of [...tokens, ...more]) {
            const outcome = await watched.signOn.authenticate({ authorization }, {});
            assert(!outcome.signedOn);
            const answer = watched.signOn.refuse(outcome);
            assertEquals(answer.headers.get("www-authenticate"), offered);
            answers.push(JSON.stringify([answer.status, [...answer.headers], await answer.text()]));
          }
          assertEquals(new Set(answers).size, 1, answers.join("\n"));
          assertEquals(watched.reasons().length, answers.length - 1);
        }
      })
    ),
  { skip },
);

test(
  "authenticate() follows the key table and the key of the service while it runs",
  () =>
    inRealm((realm, system) =>
      asAlice(system, async (alice) => {
        using watched = await openSignOn(system);
        await realm.kadmin(["cpw -randkey -keepold HTTP/localhost"]);
        await realm.exportKeytab(`${realm.dir}/svc.keytab`, ["HTTP/localhost"]);
        const headers = { authorization: await authorization(alice) };
        assertEquals((await watched.signOn.authenticate(headers)).signedOn, true, watched.reasons().join());
      })
    ),
  { skip },
);

test(
  "authenticate() applies the machine's policy of the moment: what it denies since the start is refused",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "secure-sockets-policy-"));
    const machinePolicyPath = join(folder, "policy.json");
    try {
      await inRealmWith({ machinePolicyPath }, async (realm, system) => {
        await realm.kinit("alice");
        using initiator = await openInitiator({ system });
        using watched = await openSignOn(system);
        const headers = { authorization: await authorization(initiator) };
        assertEquals((await watched.signOn.authenticate(headers)).signedOn, true);
        writeFileSync(machinePolicyPath, '{ "version": 1, "deny": ["kerberos"] }');
        assertEquals((await watched.signOn.authenticate(headers)).signedOn, false);
        rmSync(machinePolicyPath);
        assertEquals((await watched.signOn.authenticate(headers)).signedOn, true);
        assertEquals(watched.reasons().length, 1);
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
  { skip },
);

test(
  "takeDelegated() gives the client's own credentials once; what is not taken is closed",
  () =>
    inRealm(async (_realm, system) => {
      using watched = await openSignOn(system, { acceptDelegation: true });
      using initiator = await openInitiator({ system, requirements: { delegation: true } });
      const sign = async () => {
        const outcome = await watched.signOn.authenticate({ authorization: await authorization(initiator) });
        assert(outcome.signedOn);
        return outcome;
      };
      using first = await sign();
      {
        using delegated = first.identity.takeDelegated();
        assert(delegated !== null);
        using onward = delegated.initiate({ target: "host/web.mit.test" });
        assert((await onward.step()).token!.length > 0);
      }
      assertEquals(first.identity.takeDelegated(), null);
      using second = await sign();
      second.close();
      assertEquals(second.identity.takeDelegated(), null);
      using other = await openInitiator({ system });
      using without = await watched.signOn.authenticate({
        authorization: await authorization(other),
      }) as typeof first;
      assertEquals(without.identity.takeDelegated(), null);
    }),
  { skip },
);

test(
  "httpSignOn(): close() ends it, and closes the credentials",
  () =>
    inRealm(async (_realm, system) => {
      const signOn = await httpSignOn({ system });
      signOn.close();
      signOn.close();
      await assertRejects(() => signOn.authenticate({}), StateError, "is closed");
    }),
  { skip },
);

test(
  "fetch(): where a client asks for no proof, the fields of the handler's answer stay as they are",
  () =>
    inRealm(async (_realm, system) => {
      using watched = await openSignOn(system);
      const requirements = { mutualAuthentication: false };
      using alice = await openInitiator({ system, registry: createRegistry([kerberos()]), requirements });
      const fields = { "www-authenticate": "Bearer", "cache-control": "no-store" };
      const handler = watched.signOn.fetch((_request, { name }) =>
        new Response(name, { status: 401, headers: fields })
      );
      const headers = { authorization: await authorization(alice) };
      const answer = await handler(new Request("http://localhost/", { headers }));
      assertEquals([answer.status, await answer.text()], [401, "alice@MIT.TEST"]);
      assertEquals(Object.fromEntries(answer.headers), {
        ...fields,
        "content-type": "text/plain;charset=UTF-8",
      });
    }),
  { skip },
);

/** Serves `Hello NAME` with node:http, and runs `body` with its address. */
function helloServer(
  body: (url: string, reasons: () => string[], realm: Realm, system: System) => Promise<void>,
): () => Promise<void> {
  return () =>
    inRealm(async (realm, system) => {
      using watched = await openSignOn(system);
      const { signOn } = watched;
      await using server = await listenNode(signOn.node(async (request, response, { name }) => {
        let length = 0;
        for await (const chunk of request) length += (chunk as Uint8Array).length;
        response.end(`Hello ${name} ${length}`);
      }));
      await body(server.url, watched.reasons, realm, system);
    });
}

test(
  "node(): curl --negotiate is signed on, also with a body; without a ticket it gets 401",
  helloServer(async (url, reasons, realm) => {
    assertEquals(await runCurl([...NEGOTIATE, url]), "Hello alice@MIT.TEST 0 200");
    const post = ["--data-binary", "x".repeat(100_000)];
    assertEquals(await runCurl([...NEGOTIATE, ...post, url]), "Hello alice@MIT.TEST 100000 200");
    assertEquals(reasons(), []);
    const nobody = {
      KRB5CCNAME: `FILE:${realm.dir}/none`,
      KRB5_CLIENT_KTNAME: `FILE:${realm.dir}/none`,
    };
    assertEquals(
      await runCurl([...NEGOTIATE, url], nobody),
      "Sign-on with Negotiate is required\n 401",
    );
    assertEquals(await runCurl([url]), "Sign-on with Negotiate is required\n 401");
    assertEquals(reasons(), []);
  }),
  { skip: skipCurl },
);
