/** connect() and listen() with ipsec(), its sandboxed codec included, on a simulated network. */

import { assertEquals, assertRejects } from "@std/assert";
import { test } from "@test";
import { TransportError } from "../../../errors.ts";
import { simulate } from "../../../testing/simulator/simulate.ts";
import { ipsec, type IpsecOptions } from "../../../plugins/ipsec/mod.ts";
import { createRegistry } from "../../../plugins/registry.ts";
import type { Requirements } from "../../../contract.ts";
import { connect } from "../../../sockets/connect.ts";
import { listen } from "../../../sockets/listen.ts";
import { withPair } from "../../support/ipsec_pair.ts";
import { settled } from "../../support/socket_suite.ts";

const WITHOUT_MUTUAL = { mutualAuthentication: false } as const;

/** Echoes over one connection and returns what the client reports about it. */
async function echo(options: IpsecOptions, requirements: Requirements, names = ["client", "server"]) {
  const network = simulate();
  const registry = createRegistry([ipsec(options)]);
  const [here, there] = names.map((name) => network.host(name));
  const listener = await listen({ port: 7, registry, requirements, system: there });
  const serving = listener.accept().then((conn) => conn.readable.pipeTo(conn.writable)).catch(() => {});
  const conn = await connect({ hostname: "server", port: 7, registry, requirements, system: here });
  const writer = conn.writable.getWriter();
  await writer.write(new TextEncoder().encode("over IPsec"));
  await writer.close();
  const text = await new Response(conn.readable).text();
  await serving;
  await listener.close();
  here.close();
  there.close();
  assertEquals(await settled(), {});
  assertEquals(network.held(), { handles: 0, allocations: 0 });
  return { text, security: conn.security, traffic: network.traffic };
}

test("ipsec(): ten lines carry bytes that the system encrypts, and report that it is simulated", async () => {
  const { text, security, traffic } = await echo({}, WITHOUT_MUTUAL);
  assertEquals(text, "over IPsec");
  assertEquals(
    [
      security.provider,
      security.integrity,
      security.confidentiality,
      security.mutualAuthentication,
      security.simulated,
    ],
    ["ipsec", true, true, "unknown", true],
  );
  assertEquals(traffic, { clear: 0, secured: 0, encrypted: 20 });
});

test("ipsec(): integrity without encryption is reported as such", async () => {
  const { security, traffic } = await echo({}, { confidentiality: false, ...WITHOUT_MUTUAL });
  assertEquals([security.integrity, security.confidentiality], [true, false]);
  assertEquals(traffic, { clear: 0, secured: 20, encrypted: 0 });
});

test("ipsec(): an IP address and the computer's name are enough, without a service", () =>
  withPair({
    hosts: { server: { address: "10.0.0.77" } },
    requirements: WITHOUT_MUTUAL,
    client: { hostname: "10.0.0.77", computer: "host/server" },
  }, ({ client }) =>
    assertEquals([client.remoteAddr!.hostname, client.security.confidentiality], ["10.0.0.77", true])));

test("ipsec(): an IP address with the name of another computer does not connect", async () => {
  const terms = {
    requirements: WITHOUT_MUTUAL,
    client: { hostname: "10.0.0.2", computer: "host/somebody-else" },
  };
  await assertRejects(() => withPair(terms, () => {}), TransportError);
});
