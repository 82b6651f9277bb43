/** negotiateFetch() against Apache with mod_auth_gssapi. */

import process from "node:process";
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { test } from "@test";
import type { SecurityRequirementError, System } from "../../mod.ts";
import { negotiateFetch } from "../../http/client/fetch.ts";
import type { NegotiateFetchOptions } from "../../http/client/options.ts";
import { type Apache, apacheUnavailable, HELLO, startApache } from "../rig/apache.ts";
import type { Realm } from "../rig/realm.ts";
import { inRealm, noRealm } from "../support/kerberos.ts";

const skip = noRealm ?? apacheUnavailable();
const ALICE = "alice@MIT.TEST";

interface Rig {
  readonly apache: Apache;
  readonly realm: Realm;
  readonly system: System;
  readonly http: string;
  readonly https: string;
}

function withApache(body: (rig: Rig) => Promise<void>): Promise<void> {
  return inRealm(async (realm, system) => {
    await using apache = await startApache(realm);
    const [http, https] = [`http://localhost:${apache.port}`, `https://localhost:${apache.securePort}`];
    await body({ apache, realm, system, http, https });
  });
}

/** A fetch for both origins of Apache. */
function fetchFor({ apache, system, http, https }: Rig, options: Partial<NegotiateFetchOptions> = {}) {
  return negotiateFetch({ origins: [http, https], ca: apache.ca, system, ...options });
}

test(
  "negotiateFetch() signs on to Apache, per request, connection-bound and with sessions, on http and https",
  () =>
    withApache(async (rig) => {
      await using signedOn = fetchFor(rig);
      for (const origin of [rig.http, rig.https]) {
        for (const folder of ["per", "conn", "sess"]) {
          const response = await signedOn(`${origin}/${folder}/hello.txt`);
          assertEquals([response.status, await response.text()], [200, HELLO]);
          assertEquals(response.headers.get("x-user"), ALICE);
          // Apache would speak h2, which the protocols of connections do not fit.
          assertEquals(response.headers.get("x-protocol"), "HTTP/1.1");
          const security = signedOn.security(response)!;
          assertEquals([security.mechanism, security.mutualAuthentication], ["kerberos", true]);
          assertEquals(security.channelBindings, origin === rig.https ? "sent" : "none");
          assertEquals(security.peer, "HTTP/localhost");
        }
      }
      const open = await signedOn(`${rig.http}/open/hello.txt`);
      assertEquals([await open.text(), signedOn.security(open)], [HELLO, null]);
    }),
  { skip },
);

test(
  "negotiateFetch() leaves no connection that anybody else's request could use",
  () =>
    withApache(async (rig) => {
      await using signedOn = fetchFor(rig);
      const ports = new Set<string | null>();
      for (let count = 0; count < 3; count++) {
        const response = await signedOn(`${rig.http}/conn/hello.txt`);
        assertEquals(response.headers.get("x-user"), ALICE);
        ports.add(response.headers.get("x-port"));
        await response.text();
        // Apache remembers the connection, so a plain request on it would be alice's.
        const plain = await fetch(`${rig.http}/conn/hello.txt`);
        assertEquals([plain.status, plain.headers.get("x-user")], [401, ""]);
        await plain.body?.cancel();
      }
      assertEquals(ports.size, 3);
    }),
  { skip },
);

test(
  "negotiateFetch() sends each kind of body whole, and a stream with its token unasked",
  () =>
    withApache(async (rig) => {
      await using signedOn = fetchFor(rig);
      const text = "ä body of text\n".repeat(20_000);
      const bytes = new TextEncoder().encode(text);
      const form = new FormData();
      form.set("field", text);
      const stream = () =>
        new ReadableStream<Uint8Array>({
          start(controller) {
            for (let at = 0; at < bytes.length; at += 50_000) {
              controller.enqueue(bytes.slice(at, at + 50_000));
            }
            controller.close();
          },
        });
      const bodies: [
        what: string,
        init: RequestInit & { duplex?: "half" },
        type: string,
        expected: string,
      ][] = [
        ["text", { body: text }, "text/plain", text],
        ["bytes", { body: bytes }, "", text],
        ["Blob", { body: new Blob([text], { type: "text/x" }) }, "text/x", text],
        [
          "URLSearchParams",
          { body: new URLSearchParams({ a: "b c" }) },
          "application/x-www-form-urlencoded",
          "a=b+c",
        ],
        ["FormData", { body: form }, "multipart/form-data; boundary=", text.replaceAll("\n", "\r\n")],
        ["stream", { body: stream(), duplex: "half" }, "", text],
        ["nothing", {}, "", ""],
      ];
      for (const [what, init, type, expected] of bodies) {
        const response = await signedOn(`${rig.https}/per/echo`, { method: "POST", ...init });
        const answer = await response.text();
        assertEquals(response.status, 200, what);
        assert(
          answer.startsWith(`user=${ALICE} method=POST type=${type}`),
          `${what}: ${answer.slice(0, 100)}`,
        );
        assert(answer.includes(expected), `${what}: ${answer.length} of ${expected.length}`);
      }
      const request = new Request(`${rig.http}/per/echo`, { method: "PUT", body: "of a Request" });
      assert((await (await signedOn(request)).text()).endsWith("\nof a Request"));
      assertEquals(rig.apache.log().match(/"POST .*" 401 /g)?.length, bodies.length - 1);
    }),
  { skip },
);

test("negotiateFetch() delegates credentials only where it is asked to", () =>
  withApache(async (rig) => {
    const cacheOf = async (options: Partial<NegotiateFetchOptions>) => {
      await using signedOn = fetchFor(rig, options);
      return /cache=(.*)/.exec(await (await signedOn(`${rig.http}/deleg/echo`)).text())![1];
    };
    assertEquals(await cacheOf({}), "");
    assert((await cacheOf({ requirements: { delegation: true } })).startsWith("FILE:"));
  }), { skip });

test(
  "negotiateFetch() takes answers without a body, and gives refusals to the caller",
  () =>
    withApache(async (rig) => {
      await using signedOn = fetchFor(rig);
      const head = await signedOn(`${rig.http}/per/hello.txt`, { method: "HEAD" });
      assertEquals([head.status, head.headers.get("x-user"), head.body], [200, ALICE, null]);
      assert(signedOn.security(head)?.mutualAuthentication);
      const headers = { "if-none-match": head.headers.get("etag")! };
      const unchanged = await signedOn(`${rig.http}/per/hello.txt`, { headers });
      assertEquals([unchanged.status, unchanged.body], [304, null]);
      assert(signedOn.security(unchanged)?.mutualAuthentication);
      const missing = await signedOn(`${rig.http}/per/missing`);
      assertEquals([missing.status, signedOn.security(missing)?.mutualAuthentication], [404, true]);
      await missing.body?.cancel();
      await using elsewhere = fetchFor(rig, { origins: ["https://*.example.test"] });
      const unlisted = await elsewhere(`${rig.http}/per/hello.txt`);
      assertEquals([unlisted.status, elsewhere.security(unlisted)], [401, null]);
      await unlisted.body?.cancel();
      assertThrows(() => signedOn.security(unlisted), TypeError, "this function returned");
    }),
  { skip },
);

test("negotiateFetch() without a ticket fails, and works once there is one", () =>
  withApache(async (rig) => {
    const { realm } = rig;
    const cache = `FILE:${realm.dir}/later`;
    await using signedOn = fetchFor(rig, { credentials: { cache } });
    const error = await assertRejects(() => signedOn(`${rig.http}/per/hello.txt`), Error);
    assertEquals([error.name, (error as { reason?: string }).reason], [
      "AuthenticationError",
      "no-credentials",
    ]);
    await realm.kinit("bob", { cache });
    const response = await signedOn(`${rig.http}/per/hello.txt`);
    assertEquals([await response.text(), response.headers.get("x-user")], [HELLO, "bob@MIT.TEST"]);
  }), { skip });

test("negotiateFetch() serves many requests at once", () =>
  withApache(async (rig) => {
    await using signedOn = fetchFor(rig);
    const users = await Promise.all(Array.from({ length: 40 }, async (_, index) => {
      const response = await signedOn(`${index % 2 ? rig.http : rig.https}/per/echo`, {
        method: "POST",
        body: `number ${index}`,
      });
      assert((await response.text()).endsWith(`\nnumber ${index}`));
      return response.headers.get("x-user");
    }));
    assertEquals(new Set(users), new Set([ALICE]));
  }), { skip });

test(
  "negotiateFetch() sends no token without channel bindings where they are required",
  () =>
    withApache(async (rig) => {
      await using signedOn = fetchFor(rig, { channelBindings: "required" });
      const response = await signedOn(`${rig.https}/per/hello.txt`);
      assertEquals([await response.text(), signedOn.security(response)?.channelBindings], [HELLO, "sent"]);
      const error = await assertRejects(() => signedOn(`${rig.http}/per/hello.txt`), Error);
      assertEquals((error as SecurityRequirementError).required, "channelBindings");
      assert(!rig.apache.log().includes(`${rig.apache.port} ${ALICE}`));
      await using never = fetchFor(rig, { channelBindings: "never" });
      const without = await never(`${rig.https}/per/hello.txt`);
      assertEquals([await without.text(), never.security(without)?.channelBindings], [HELLO, "none"]);
    }),
  { skip },
);

test(
  "negotiateFetch() without --allow-net rejects with the flag to add, for names, addresses and proxies",
  async () => {
    const script = `import { negotiateFetch } from ${
      JSON.stringify(new URL("../../http/mod.ts", import.meta.url).href)
    };
    for (const [url, proxy] of [["http://localhost:9/"], ["https://127.0.0.1/"], ["https://a.test/", "http://localhost:9"]]) {
      const fetch = negotiateFetch({ origins: [url], proxy, target: () => "HTTP/localhost" });
      const error = await fetch(url).catch((error) => error);
      console.log(error.name, error.grant, error.flag);
    }`;
    // Deno's own spawn: its node:child_process adds -A to a child that is Deno.
    const child = new Deno.Command(Deno.execPath(), {
      args: ["run", "--no-prompt", "--no-config", "--no-check", "-"],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const stdin = child.stdin.getWriter();
    await stdin.write(new TextEncoder().encode(script));
    await stdin.close();
    assertEquals(
      new TextDecoder().decode((await child.output()).stdout).trim().split("\n"),
      ["localhost:9", "127.0.0.1:443", "localhost:9"].map((address) =>
        `PermissionError sockets --allow-net=${address}`
      ),
    );
  },
  {
    skip: process.versions.deno
      ? null
      : "the child process needs these sources, which Node has only as a bundle",
  },
);
