/** The package on Bun: a connection, and sign-on by HTTP as a client and as a server, with Apache and with Deno. */

import { assertEquals } from "@std/assert";
import { test } from "@test";
import { negotiateFetch } from "../../http/mod.ts";
import { apacheUnavailable, HELLO, startApache } from "../rig/apache.ts";
import { start } from "../support/cli.ts";
import { inRealm, noRealm } from "../support/kerberos.ts";
import { makeConsumer, PACKAGE, skip } from "./consumer.ts";

const SERVER = `
import { createServer } from "node:http";
import { httpSignOn } from "${PACKAGE}/http";
const signOn = await httpSignOn();
const own = Bun.serve({
  port: 0,
  hostname: "127.0.0.1",
  fetch: signOn.fetch(async (request, identity) => new Response(identity.name + " " + await request.text())),
});
const node = createServer(signOn.node((request, response, identity) => response.end(identity.name + " ")));
node.listen(0, "127.0.0.1", () => console.log(JSON.stringify([own.port, node.address().port])));
`;

const CLIENT = `
import { readFileSync } from "node:fs";
import { negotiateFetch } from "${PACKAGE}/http";
const [authority, ...urls] = process.argv.slice(2);
const ca = readFileSync(authority, "utf8");
const signedOn = negotiateFetch({ origins: urls.map((url) => new URL(url).origin), ca });
for (const url of urls) {
  const response = await signedOn(url, url.includes("hello") ? {} : { method: "POST", body: "from Bun" });
  const { mutualAuthentication, channelBindings } = signedOn.security(response) ?? {};
  console.log(JSON.stringify([response.status, await response.text(), mutualAuthentication, channelBindings]));
}
await signedOn.close();
`;

const ECHO = `
import { connect, listen } from "${PACKAGE}";
const listener = await listen({ hostname: "localhost", port: 0, acceptedTargets: ["host/localhost"] });
const accepted = listener[Symbol.asyncIterator]().next();
const conn = await connect({ hostname: "localhost", port: listener.addr.port, target: "host/localhost" });
const { value: peer } = await accepted;
const echo = peer.readable.pipeTo(peer.writable);
await conn.write(new TextEncoder().encode("from Bun"));
await conn.closeWrite();
console.log(await new Response(conn.readable).text(), peer.security.peer, conn.security.confidentiality);
await echo;
await conn.close();
await peer.close();
await listener.close();
`;

test("the package connects on Bun, and signs on by HTTP with Apache and with Deno", async () => {
  await using consumer = await makeConsumer(["bun@1.4.5"]);
  // Its package's own program is put there by an install script.
  const bun = `${consumer.folder}/node_modules/@oven/bun-linux-x64/bin/bun`;
  await consumer.write("server.mjs", SERVER);
  await consumer.write("client.mjs", CLIENT);
  await consumer.write("echo.mjs", ECHO);
  await inRealm(async (realm, system) => {
    await using echo = start(bun, [`${consumer.folder}/echo.mjs`]);
    assertEquals([await echo.ended, echo.written], [0, {
      stdout: "from Bun alice@MIT.TEST true\n",
      stderr: "",
    }]);
    await using apache = await startApache(realm);
    await consumer.write("ca.pem", apache.ca);
    await using server = start(bun, [`${consumer.folder}/server.mjs`]);
    const [ports] = await server.until("stdout", /\[.*\]/);
    const [own, node] = (JSON.parse(ports) as number[]).map((port) => `http://localhost:${port}`);
    const urls = [
      `http://localhost:${apache.port}/conn/hello.txt`,
      `https://localhost:${apache.securePort}/per/hello.txt`,
    ];
    await using client = start(bun, [
      `${consumer.folder}/client.mjs`,
      `${consumer.folder}/ca.pem`,
      ...urls,
      own,
      node,
    ]);
    assertEquals([await client.ended, client.written.stderr], [0, ""]);
    assertEquals(client.written.stdout.trim().split("\n").map((line) => JSON.parse(line)), [
      [200, HELLO, true, "none"],
      [200, HELLO, true, "sent"],
      [200, "alice@MIT.TEST from Bun", true, "none"],
      [200, "alice@MIT.TEST ", true, "none"],
    ]);
    await using signedOn = negotiateFetch({ origins: [own, node], system });
    for (const origin of [own, node]) {
      assertEquals(await (await signedOn(origin)).text(), "alice@MIT.TEST ");
      const unsigned = await fetch(origin);
      assertEquals([unsigned.status, (await unsigned.text()).includes("alice")], [401, false]);
    }
    await using other = negotiateFetch({ origins: [own], target: () => "host/localhost", system });
    const refused = await other(own);
    assertEquals([refused.status, other.security(refused)], [401, null]);
    await refused.body?.cancel();
  });
}, {
  skip: skip ?? noRealm ?? apacheUnavailable() ??
    (Deno.build.os === "linux" && Deno.build.arch === "x86_64" ? null : "Bun is fetched for Linux on x64"),
});
