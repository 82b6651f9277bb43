/** Two controllers of Samba: one joins the domain of the other, which then fails. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { test } from "@test";
import { join } from "node:path";
import {
  connectService,
  type DirectoryResolver,
  findServicePoints,
  installService,
  openDirectory,
  publishServicePoint,
  verifySpns,
} from "../../directory/mod.ts";
import { TransportError } from "../../errors.ts";
import { listen } from "../../sockets/mod.ts";
import { inDomain, noAdDc } from "../support/ad.ts";

const SERVICE = {
  account: "WEB1$",
  under: "CN=WEB1,CN=Computers,DC=example,DC=test",
  name: "ADSockAuth",
  serviceClass: "ADSockAuth",
  keywords: ["Auth-O-Matic"],
  dnsName: "web1.example.test",
};

test(
  "a controller that fails in the middle of a search is replaced by the second one, where everything is found again",
  () =>
    inDomain(async (dc, system) => {
      await using second = await dc.join();
      const addresses: Record<string, string> = {
        "dc1.example.test": dc.address,
        "dc2.example.test": second.address,
        "web1.example.test": "127.0.0.1",
      };
      const resolver: DirectoryResolver = {
        records: () =>
          Promise.resolve(
            ["dc1", "dc2"].map((name, priority) => ({
              hostname: `${name}.example.test`,
              port: 389,
              priority,
              weight: 0,
            })),
          ),
        addresses: (hostname) => Promise.resolve([addresses[hostname]]),
      };
      const domain = { domain: "example.test", resolver, system };
      const credentials = { username: "Administrator", domain: dc.realm, password: dc.users.Administrator };
      await using administrator = await openDirectory({ ...domain, credentials });
      assertEquals(administrator.server.hostname, "dc1.example.test");
      // A listener's port is known before its key is.
      const { target, point: { guid } } = await installService(administrator, {
        ...SERVICE,
        bindingInformation: 1,
      });
      const keytab = join(dc.dir, "service.keytab");
      await dc.exportKeytab(keytab, [target]);
      await using listener = await listen({
        ...{ hostname: "127.0.0.1", port: 0, system, credentials: { keytab }, acceptedTargets: [target] },
      });
      await second.replicate(dc);
      await dc.kinit("alice");

      await using directory = await openDirectory(domain);
      const search = directory.search({ attributes: [], pageSize: 10 });
      assertEquals([(await search.next()).done, directory.server.hostname], [false, "dc1.example.test"]);
      await dc.end();
      const rest = async (): Promise<void> => {
        for await (const _ of search);
      };
      await assertRejects(rest, TransportError, "Open the directory again");

      // The administrator's tickets come of the second controller, too.
      await using again = await openDirectory({ ...domain, credentials });
      const { context } = again.security;
      assertEquals([again.server.hostname, context?.peer], [
        "dc2.example.test",
        "ldap/dc2.example.test/example.test",
      ]);
      const [found] = await findServicePoints(again, { keywords: "auth-o-matic" });
      assertEquals([found.guid, found.dnsName], [guid, SERVICE.dnsName]);
      const { ok, searched } = await verifySpns(again, "WEB1$", [target]);
      assertEquals([ok, searched], [true, "forest"]);
      const { account: _, ...publish } = SERVICE;
      const moved = await publishServicePoint(again, {
        ...publish,
        guid,
        bindingInformation: listener.addr.port,
      });
      assertEquals([moved.change, moved.point.guid], ["updated", guid]);
      const accepting = listener.accept();
      const service = { serviceClass: "ADSockAuth", keywords: "Auth-O-Matic" };
      await using conn = await connectService({ service, directory: domain, resolver, system });
      await using server = await accepting;
      assertEquals([conn.security.peer, conn.security.mutualAuthentication], [target, true]);
      assert(server.security.peer?.startsWith("alice@"), server.security.peer);
    }),
  { skip: noAdDc },
);
