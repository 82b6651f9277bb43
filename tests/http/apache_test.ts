/** Apache of the rig, before anything is built on it. */

import { connect } from "node:net";
import { assertEquals, assertMatch } from "@std/assert";
import { test } from "@test";
import { openInitiator } from "../../mod.ts";
import { formatToken } from "../../http/fields.ts";
import { apacheUnavailable, HELLO, startApache } from "../rig/apache.ts";
import { inRealm, noRealm } from "../support/kerberos.ts";

test(
  "startApache(): each folder but /open asks for Negotiate and takes one token; so does the proxy",
  () =>
    inRealm(async (realm, system) => {
      await using apache = await startApache(realm);
      using initiator = await openInitiator({ system });
      for (const folder of ["open", "per", "conn", "sess", "deleg"]) {
        const url = `http://localhost:${apache.port}/${folder}/hello.txt`;
        const ask = async (headers: Record<string, string>) => {
          const response = await fetch(url, { headers: { ...headers, connection: "close" } });
          return [response.status, response.headers.get("x-user"), await response.text() === HELLO];
        };
        assertEquals(await ask({}), folder === "open" ? [200, "", true] : [401, "", false]);
        using context = initiator.initiate({ target: "HTTP/localhost" });
        const authorization = formatToken("Negotiate", (await context.step()).token);
        if (folder !== "open") assertEquals(await ask({ authorization }), [200, "alice@MIT.TEST", true]);
      }
      const tunnel = async (more: string): Promise<string> => {
        const socket = connect(apache.proxyPort, "127.0.0.1");
        socket.write(`CONNECT localhost:${apache.securePort} HTTP/1.1\r\nHost: localhost\r\n${more}\r\n`);
        const { promise, resolve } = Promise.withResolvers<string>();
        socket.once("data", (data) => resolve(String(data)));
        return await promise.finally(() => socket.destroy());
      };
      assertMatch(await tunnel(""), /^HTTP\/1.1 407 [^]*\r\nProxy-Authenticate: Negotiate\r\n/);
      using context = initiator.initiate({ target: "HTTP/localhost" });
      const token = formatToken("Negotiate", (await context.step()).token);
      assertMatch(await tunnel(`Proxy-Authorization: ${token}\r\n`), /^HTTP\/1.[01] 200 /);
    }),
  { skip: noRealm ?? apacheUnavailable() },
);
