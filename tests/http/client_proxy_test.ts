/** negotiateFetch() through Apache as a forward proxy that asks for Negotiate. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { test } from "@test";
import { negotiateFetch } from "../../http/client/fetch.ts";
import { apacheUnavailable, HELLO, startApache } from "../rig/apache.ts";
import { createRegistry, ntlm } from "../../mod.ts";
import { ask, hostileServer, toyEnds } from "../support/hostile_http.ts";
import { inRealm, noRealm } from "../support/kerberos.ts";
import { toyProvider, toySystem } from "../support/toy_provider.ts";

test(
  "negotiateFetch() signs on to the proxy, and to the server behind it: https in a tunnel, http forwarded",
  () =>
    inRealm(async (realm, system) => {
      await using apache = await startApache(realm);
      const [http, https] = [`http://localhost:${apache.port}`, `https://localhost:${apache.securePort}`];
      const proxy = `http://localhost:${apache.proxyPort}`;
      await using through = negotiateFetch({ origins: [http, https], ca: apache.ca, proxy, system });
      for (let count = 0; count < 3; count++) {
        const response = await through(`${https}/conn/hello.txt`);
        assertEquals([await response.text(), response.headers.get("x-user")], [HELLO, "alice@MIT.TEST"]);
        const security = through.security(response)!;
        assertEquals([security.mutualAuthentication, security.channelBindings], [true, "sent"]);
      }
      const open = await through(`${http}/open/echo`, { method: "POST", body: "forwarded" });
      assert((await open.text()).endsWith("\nforwarded"));
      assertEquals(through.security(open), null);
      // Apache writes a request down once its answer has left.
      const forwarded = /alice@MIT.TEST "POST http:.*" 200 /;
      for (let tries = 0; tries < 500 && !forwarded.test(apache.log()); tries++) {
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      const log = apache.log();
      assertEquals(log.match(/alice@MIT.TEST "CONNECT .*" 200 /g)?.length, 3, log);
      assertEquals(log.match(/alice@MIT.TEST "POST http:.*" 200 /g)?.length, 1, log);
      const error = await assertRejects(
        () => through(`${http}/per/hello.txt`),
        Error,
        "may use the signed-on connection",
      );
      assertEquals(error.name, "SecurityRequirementError");
      await using wrong = negotiateFetch({
        origins: [https],
        ca: apache.ca,
        proxy: { url: proxy, target: "host/localhost" },
        system,
      });
      const refused = await assertRejects(() => wrong(`${https}/open/hello.txt`), Error);
      assertEquals(refused.name, "AuthenticationError", String(refused));
    }),
  { skip: noRealm ?? apacheUnavailable() },
);

test("negotiateFetch() signs on through a proxy that forwards only if it keeps connections apart", async () => {
  await using ends = await toyEnds();
  let keepsApart = true;
  await using proxy = await hostileServer(async ({ headers, token, url }, response) => {
    const challenge = headers["proxy-authorization"]!.replace("Negotiate ", "");
    const bytes = Uint8Array.from(atob(challenge), (character) => character.charCodeAt(0));
    response.setHeader("proxy-authenticate", await ends.prove(bytes));
    if (keepsApart) response.setHeader("proxy-support", "Session-Based-Authentication");
    if (token === null) return ask(response);
    response.writeHead(200, { "www-authenticate": await ends.prove(token) }).end(url);
  });
  const through = ends.client(["http://behind.test:81"], { proxy: proxy.origin });
  const response = await through("http://behind.test:81/a?b");
  assertEquals([await response.text(), through.security(response)?.mechanism], [
    "http://behind.test:81/a?b",
    "toy",
  ]);
  assertEquals(proxy.seen.map(({ headers }) => headers.host), ["behind.test:81", "behind.test:81"]);
  const tokens = new Set(proxy.seen.map(({ headers }) => headers["proxy-authorization"]));
  assertEquals(tokens.size, 2, "each request has a token of its own");
  keepsApart = false;
  await assertRejects(() => through("http://behind.test:81/"), Error, "may use the signed-on connection");
  const stream = { method: "POST", body: new Blob(["x"]).stream(), duplex: "half" } as RequestInit;
  await assertRejects(
    () => through("http://behind.test:81/", stream),
    Error,
    "may use the signed-on connection",
  );
  assertEquals(proxy.seen.filter(({ token }) => token !== null).length, 1);
});

test("negotiateFetch() refuses proxies that forge their token, ask for more, or have no name", async () => {
  await using ends = await toyEnds();
  let answer = "Negotiate AAAA";
  await using proxy = await hostileServer((_, response) => {
    response.writeHead(answer === "" ? 407 : 200, { "proxy-authenticate": answer || "Basic realm=x" }).end(
      "secret",
    );
  });
  const through = ends.client(["http://behind.test"], { proxy: new URL(proxy.origin) });
  await assertRejects(() => through("http://behind.test/"), Error);
  answer = "";
  const error = await assertRejects(() => through("http://behind.test/"), Error, "offers basic");
  assertEquals(error.name, "AuthenticationError");
  await proxy.idle();
  const origins = ["https://a.test"];
  for (
    const wrong of ["http://127.0.0.1:1", "http://u:p@a.test", { url: "http://a.test", negotiate: true }, 7]
  ) {
    assertThrows(() => negotiateFetch({ origins, proxy: wrong as string }), TypeError);
  }
});

test("negotiateFetch() never sends NTLM through a proxy that forwards", async () => {
  await using proxy = await hostileServer((_, response) => {
    response.setHeader("proxy-support", "Session-Based-Authentication");
    ask(response, ["Negotiate", "NTLM"]);
  });
  // The proxy is signed on to by the toy, as its sign-on is mutual.
  const registry = createRegistry([ntlm(), toyProvider()]);
  const requirements = { mutualAuthentication: false };
  const credentials = { username: "alice", domain: "MIT", password: "secret" };
  const options = { registry, system: toySystem(), requirements, credentials, allowHttp: true };
  await using through = negotiateFetch({ origins: ["http://a.test"], proxy: proxy.origin, ...options });
  await assertRejects(() => through("http://a.test/"), Error, "may use the signed-on connection");
  assertEquals(proxy.seen.map(({ token }) => token), [null]);
});
