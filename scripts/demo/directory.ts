/**
 * The part of the demo in an Active Directory domain of Samba: a service is installed, found by a keyword, and proves that
 * it is the one; and a connection point that lures clients elsewhere.
 *
 * @module
 */

import { join } from "node:path";
import {
  connectService,
  installService,
  listenService,
  openDirectory,
  publishServicePoint,
  uninstallService,
} from "../../directory/mod.ts";
import { AuthenticationError, listen, openSystem } from "../../mod.ts";
import { adDcUnavailable, startAdDc } from "../../tests/rig/ad_dc.ts";
import { expect, say, section } from "./screen.ts";

const HOST = "web1.example.test";
const PRODUCT = "a762885a-aa44-11d2-81f1-00c04fb9624e";

/** Shows it; says why it cannot where there is no domain. */
export async function showDirectory(): Promise<void> {
  section("A service of a domain: installed, found, proved");
  const unavailable = await adDcUnavailable();
  if (unavailable !== null) return say("not shown", unavailable);
  await using dc = await startAdDc();
  const restore = dc.applyEnv();
  using system = openSystem({ grants: ["sspi"] });
  try {
    await dc.kinit("Administrator");
    const open = {
      domain: "example.test",
      servers: [{ hostname: "dc1.example.test", address: dc.address }],
      system,
    };
    await using directory = await openDirectory(open);
    const service = {
      ...{ under: `CN=WEB1,CN=Computers,${dc.base}`, name: "ADSockAuth", serviceClass: "ADSockAuth" },
      ...{ keywords: [PRODUCT], dnsName: HOST, bindingInformation: 7777 },
    };
    const { point, target } = await installService(directory, { ...service, account: "WEB1$" });
    say("published", point.dn);
    expect("The SPN is registered for the computer's account", target === `ADSockAuth/${HOST}`, target);

    const keytab = join(dc.dir, "demo.keytab");
    await dc.exportKeytab(keytab, [target]);
    const server = { hostname: "127.0.0.1", port: 0, system, credentials: { keytab } };
    await using listener = await listenService({
      ...server,
      service: {
        serviceClass: "ADSockAuth",
        dnsName: HOST,
        account: "WEB1$",
        guid: point.guid,
        update: true,
      },
      directory,
    });
    say("listens", `on port ${listener.addr.port}, which it has written into its connection point`);
    const accepting = listener.accept();
    await dc.kinit("alice");
    const resolver = { records: () => Promise.resolve([]), addresses: () => Promise.resolve(["127.0.0.1"]) };
    const wanted = { serviceClass: "ADSockAuth", keywords: PRODUCT };
    {
      await using conn = await connectService({ service: wanted, directory: open, resolver, system });
      await using accepted = await accepting;
      const { mutualAuthentication, peer } = conn.security;
      const got = `${peer}; the service sees ${accepted.security.peer}`;
      expect(
        "A client that knows its class and a keyword finds it, with proof",
        mutualAuthentication === true,
        got,
      );
    }
    // Another account's server: it does not have the key of the service that the connection point names.
    const other = join(dc.dir, "other.keytab");
    await dc.exportKeytab(other, ["HTTP/web.example.test"]);
    await using rogue = await listen({ ...server, credentials: { keytab: other }, onHandshakeError() {} });
    const refused = rogue.accept().catch(() => {});
    await dc.kinit("Administrator");
    const lure = { ...service, name: "lure", keywords: ["lure"], bindingInformation: rogue.addr.port };
    await publishServicePoint(directory, lure);
    await dc.kinit("alice");
    const error = await connectService({
      ...{ service: { ...wanted, keywords: "lure" }, directory: open, resolver, system },
    }).then(() => null, (error) => error);
    const got = error instanceof AuthenticationError ? `AuthenticationError ${error.reason}` : `${error}`;
    expect(
      "One that leads to another server fails to authenticate",
      error instanceof AuthenticationError,
      got,
    );
    await rogue.close();
    await refused;
    await uninstallService(directory, { guid: point.guid, account: "WEB1$", target });
  } finally {
    restore();
  }
}
