/** The programs of examples/ that are clients of HTTP, and npm's axios and got over negotiateFetch(). */

import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { test } from "@test";
import { negotiateFetch } from "../../http/client/fetch.ts";
import { axiosOver, gotOver } from "../../examples/http_clients.ts";
import { apacheUnavailable, startApache } from "../rig/apache.ts";
import { noExamples, runExample } from "../support/example.ts";
import { ask, hostileServer, toyEnds } from "../support/hostile_http.ts";
import { inRealm, noRealm } from "../support/kerberos.ts";

test("axios and got sign on over negotiateFetch(), with bodies and redirects, and refuse what has no proof", async () => {
  await using ends = await toyEnds();
  let honest = true;
  await using server = await hostileServer(async ({ token, method, text, headers, url }, response) => {
    if (token === null) return ask(response);
    if (honest) response.setHeader("www-authenticate", await ends.prove(token));
    if (url === "/moved") return response.writeHead(303, { location: "/here" }).end();
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify({ method, text, type: headers["content-type"] ?? "" }));
  });
  const signedOn = ends.client([server.origin]);
  const [axios, got] = [axiosOver(signedOn), gotOver(signedOn)];
  const json = { number: 7 };
  const text = JSON.stringify(json);
  const type = "application/json";
  assertEquals((await axios.get(`${server.origin}/here`)).data, { method: "GET", text: "", type: "" });
  assertEquals((await axios.post(`${server.origin}/here`, json)).data, { method: "POST", text, type });
  assertEquals((await axios.post(`${server.origin}/moved`, json)).data.method, "GET");
  assertEquals(await got(`${server.origin}/here`).json(), { method: "GET", text: "", type: "" });
  assertEquals(await got.put(`${server.origin}/here`, { json }).json(), { method: "PUT", text, type });
  assertEquals(
    (await got.post(`${server.origin}/moved`, { json }).json() as { method: string }).method,
    "GET",
  );
  honest = false;
  await assertRejects(() => axios.get(`${server.origin}/here`), Error);
  await assertRejects(async () => await got(`${server.origin}/here`, { retry: { limit: 0 } }).text(), Error);
});

test(
  "examples/http_client.ts and http_clients.ts print the page of the signed-on user",
  () =>
    inRealm(async (realm, system) => {
      await using apache = await startApache(realm);
      const url = `http://localhost:${apache.port}/per/echo`;
      const client = await runExample("http_client", [url]);
      assertEquals([client.code, client.stderr], [0, ""]);
      assertMatch(
        client.stdout,
        /^200 of HTTP\/localhost \(kerberos\)\nchannel bindings: none\nuser=alice@MIT.TEST /,
      );
      const clients = await runExample("http_clients", [url]);
      assertEquals(clients.code, 0, clients.stderr);
      for (const name of ["axios", "got"]) {
        assert(clients.stdout.includes(`${name}: user=alice@MIT.TEST method=GET`));
      }
      assertEquals((await runExample("http_client", [])).code, 2);
      await using here = negotiateFetch({ origins: [new URL(url).origin], system });
      assertEquals(
        `${await (await here(url)).text()}`.trim(),
        client.stdout.split("\n").slice(2).join("\n").trim(),
      );
    }),
  { skip: noExamples ?? noRealm ?? apacheUnavailable() },
);
