/** Install, verify, find, connect, talk: a service of an Active Directory domain of Samba, from end to end. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { test } from "@test";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import process from "node:process";
import type { ProviderSystem } from "../../contract.ts";
import {
  connectService,
  type ConnectServiceOptions,
  type Directory,
  findServicePoints,
  installService,
  type InstallServiceOptions,
  listenService,
  listSpns,
  openDirectory,
  publishServicePoint,
  type SecureConn,
  uninstallService,
} from "../../directory/mod.ts";
import { AuthenticationError, DirectoryError, TransportError } from "../../errors.ts";
import { findProgram, mustRun } from "../../scripts/process.ts";
import { listen } from "../../sockets/mod.ts";
import type { AdDc } from "../rig/ad_dc.ts";
import { inDomain, noAdDc } from "../support/ad.ts";
import { directoryOf } from "../support/directory.ts";
import { noExamples, runExample, startExample } from "../support/example.ts";

const skip = noAdDc;
const PRODUCT = "a762885a-aa44-11d2-81f1-00c04fb9624e";
const WEB1 = "CN=WEB1,CN=Computers,DC=example,DC=test";
const HOST = "web1.example.test";
const TARGET = `ADSockAuth/${HOST}`;
const encoder = new TextEncoder();
/** No name server knows the hosts of the domain. */
const resolver = {
  records: () => Promise.resolve([]),
  addresses: () => Promise.resolve(["127.0.0.1"]),
};

function service(more: Partial<InstallServiceOptions> = {}): InstallServiceOptions {
  return {
    account: "WEB1$",
    under: WEB1,
    name: "ADSockAuth",
    serviceClass: "ADSockAuth",
    keywords: [PRODUCT, "Auth-O-Matic"],
    dnsName: HOST,
    bindingInformation: 7777,
    ...more,
  };
}

/** Opens the directory as a user of the domain. */
function openAs(dc: AdDc, system: ProviderSystem, username: keyof AdDc["users"]): Promise<Directory> {
  const credentials = { username, domain: dc.realm, password: dc.users[username] };
  return openDirectory({ ...directoryOf(dc, system), credentials });
}

/** Runs `body` with the directory bound as an administrator. */
function inDirectory(
  body: (directory: Directory, dc: AdDc, system: ProviderSystem) => Promise<void>,
): Promise<void> {
  return inDomain(async (dc, system) => {
    await using directory = await openAs(dc, system, "Administrator");
    await body(directory, dc, system);
  });
}

/** What arrives in one record. */
async function textOf(conn: SecureConn): Promise<string> {
  const room = new Uint8Array(256);
  return new TextDecoder().decode(room.subarray(0, await conn.read(room) ?? 0));
}

/** A server's options: with the key of `principal` in a key table of its own. */
async function withKeys(dc: AdDc, system: ProviderSystem, ...principals: string[]) {
  const keytab = join(dc.dir, `${principals.join("-").replaceAll(/\W/g, "-")}.keytab`);
  await dc.exportKeytab(keytab, principals);
  return { system, hostname: "127.0.0.1", port: 0, credentials: { keytab }, onHandshakeError: () => {} };
}

function wanted(dc: AdDc, system: ProviderSystem, more: Partial<ConnectServiceOptions["service"]> = {}) {
  return {
    service: { serviceClass: "ADSockAuth", keywords: PRODUCT, ...more },
    directory: directoryOf(dc, system),
    resolver,
    system,
  };
}

async function spnsOf(directory: Directory, account: string): Promise<string[]> {
  return (await listSpns(directory, account)).spns.map(({ text }) => text);
}

for (const spn of ["host", "replicable"] as const) {
  test(
    `a service is installed, verified, found, connected to and uninstalled, with an SPN of the form ${spn}`,
    () =>
      inDirectory(async (directory, dc, system) => {
        const before = await spnsOf(directory, "WEB1$");
        const installed = await installService(directory, service({ spn }));
        const { dn, guid } = installed.point;
        const target = spn === "host" ? TARGET : `${TARGET}/${dn}`;
        assertEquals([installed.target, installed.change, installed.registered], [target, "created", true]);
        // Again: nothing changes.
        const again = await installService(directory, service({ spn }));
        assertEquals([again.change, again.registered], ["unchanged", false]);

        const options = {
          service: { serviceClass: "ADSockAuth", dnsName: HOST, account: "WEB1$", guid, spn, update: true },
        };
        const keys = await withKeys(dc, system, target);
        // The service corrects the port, which is another each time.
        await using listener = await listenService({ ...options, ...keys, directory });
        const serving = (async () => {
          for await (const conn of listener) {
            const said = await textOf(conn);
            await conn.write(encoder.encode(`${conn.security.peer} says ${said}`));
            await conn.close();
          }
        })();
        await dc.kinit("alice");
        for (const found of [{}, { keywords: undefined, guid }, { under: WEB1, near: "me.example.test" }]) {
          await using conn = await connectService(wanted(dc, system, { spn, ...found }));
          const { mutualAuthentication, confidentiality, peer } = conn.security;
          assertEquals([mutualAuthentication, confidentiality, peer], [true, true, target]);
          await conn.write(encoder.encode("hello"));
          assertEquals(await textOf(conn), "alice@EXAMPLE.TEST says hello");
        }
        await listener.close();
        await serving;
        const uninstalled = await uninstallService(directory, { guid, account: "WEB1$", target });
        assertEquals([uninstalled.removed, uninstalled.unregistered], [true, [target]]);
        assertEquals(await spnsOf(directory, "WEB1$"), before);
        await assertRejects(
          () => connectService(wanted(dc, system, { spn })),
          DirectoryError,
          "no connection point",
        );
      }),
    { skip },
  );
}

test(
  "connectService(): a connection point that names another host's SPN fails to authenticate",
  () =>
    inDirectory(async (directory, dc, system) => {
      // The real service, on the account of WEB1; and another account of the domain, with a service of its own.
      await installService(directory, service({ keywords: ["real"] }));
      await installService(
        directory,
        service({
          ...{ account: "svcweb", name: "other", dnsName: "web.example.test", keywords: ["other"] },
        }),
      );
      const keys = await withKeys(dc, system, "ADSockAuth/web.example.test");
      await using rogue = await listen(keys);
      const accepting = rogue.accept().catch((error) => error);
      // It leads clients of the real service to the rogue's port.
      await publishServicePoint(
        directory,
        service2({ name: "lure", keywords: ["lure"], bindingInformation: rogue.addr.port }),
      );
      await dc.kinit("alice");
      const error = await assertRejects(
        () => connectService(wanted(dc, system, { keywords: "lure" })),
        AuthenticationError,
      );
      assert(error.message.includes(TARGET), error.message);
      // An unknown host of the class: the controller has no such principal.
      await publishServicePoint(
        directory,
        service2({
          ...{
            name: "unknown",
            keywords: ["unknown"],
            dnsName: "nobody.example.test",
            bindingInformation: rogue.addr.port,
          },
        }),
      );
      const unknown = await assertRejects(
        () => connectService(wanted(dc, system, { keywords: "unknown" })),
        AuthenticationError,
      );
      assertEquals(unknown.reason, "unknown-target");
      // Another class is not even found: the class is the client's.
      await assertRejects(
        () => connectService(wanted(dc, system, { keywords: "lure", serviceClass: "Other" })),
        DirectoryError,
        "no connection point of that class",
      );
      await rogue.close();
      await accepting;
    }),
  { skip },
);

/** What is published without an account. */
function service2(more: Partial<InstallServiceOptions>) {
  const { account: _, ...publish } = service(more);
  return publish;
}

test(
  "connectService() tries the next host where one cannot be reached, and none after one that fails to authenticate",
  () =>
    inDirectory(async (directory, dc, system) => {
      await installService(directory, service());
      const keys = await withKeys(dc, system, TARGET);
      await using listener = await listen({ ...keys, acceptedTargets: [TARGET] });
      const { port } = listener.addr;
      const accepting = listener.accept();
      // Two connection points share keywords: the first in the order leads to a closed port.
      await publishServicePoint(
        directory,
        service2({ name: "a", bindingInformation: 1, keywords: ["ambiguous"] }),
      );
      await publishServicePoint(
        directory,
        service2({ name: "b", bindingInformation: port, keywords: ["ambiguous"] }),
      );
      await publishServicePoint(
        directory,
        service2({ name: "0", bindingInformation: "not a port", keywords: ["ambiguous"] }),
      );
      await dc.kinit("alice");
      const ports: number[] = [];
      const options = {
        ...wanted(dc, system, { keywords: "ambiguous" }),
        onAttempt: (each: { port: number }) => ports.push(each.port),
      };
      {
        await using conn = await connectService(options);
        await using server = await accepting;
        assertEquals([conn.security.peer, server.security.peer], [
          TARGET,
          "alice@EXAMPLE.TEST",
        ]);
      }
      assertEquals(ports, [1, port]);
      const accept = ({ name }: { name?: string }) => name === "a";
      const only = { ...options.service, accept };
      await assertRejects(() => connectService({ ...options, service: only }), TransportError);
      await assertRejects(
        () => connectService({ ...options, service: { ...only, accept: () => false } }),
        DirectoryError,
        "it was not accepted",
      );
      const gone = AbortSignal.abort(new Error("changed my mind"));
      await assertRejects(() => connectService({ ...options, signal: gone }), Error, "changed my mind");
      // The first one that answers is not the service: the second is never tried.
      const other = await withKeys(dc, system, "HTTP/web.example.test");
      await using impostor = await listen(other);
      const refused = impostor.accept().catch((error) => error);
      await publishServicePoint(
        directory,
        service2({ name: "a", bindingInformation: impostor.addr.port, keywords: ["ambiguous"] }),
      );
      ports.length = 0;
      await assertRejects(() => connectService(options), AuthenticationError);
      assertEquals(ports, [impostor.addr.port]);
      await impostor.close();
      await refused;
    }),
  { skip },
);

test(
  "listenService() does not start where its registration is incomplete, and says what to run",
  () =>
    inDirectory(async (directory, dc, system) => {
      const keys = await withKeys(dc, system, "host/web1.example.test");
      const starting = (more: object = {}, port = 0) =>
        listenService({
          ...keys,
          port,
          service: { serviceClass: "ADSockAuth", dnsName: HOST, account: "WEB1$", ...more },
          directory,
        });
      const missing = await assertRejects(() => starting(), DirectoryError, "does not have that SPN");
      assert(missing.message.includes(`setspn -S ${TARGET} WEB1$`), missing.message);
      const { point: { guid } } = await installService(directory, service());
      await (await starting()).close();
      const elsewhere = await assertRejects(() => starting({ guid }, 17771), DirectoryError, "leads to");
      assert(
        elsewhere.message.includes(
          `service publish --guid ${guid} --host ${HOST} --port 17771`,
        ),
        elsewhere.message,
      );
      const absent = PRODUCT;
      await assertRejects(() => starting({ guid: absent }), DirectoryError, "there is no connection point");
      // Registered for two accounts, past the rules of the directory.
      const partition = join(dc.dir, "private/sam.ldb.d/DC=EXAMPLE,DC=TEST.ldb");
      const input = `dn: CN=svcweb,CN=Users,${dc.base}\nchangetype: modify\nadd: servicePrincipalName\n` +
        `servicePrincipalName: ${TARGET}\n`;
      await mustRun(findProgram("ldbmodify")!, ["-H", partition], { env: dc.env, input });
      const twice = await assertRejects(() => starting(), DirectoryError, "another account has that SPN too");
      assert(twice.message.includes(`setspn -D ${TARGET} svcweb`), twice.message);
      await assertRejects(() => starting({ spn: "replicable" }), TypeError, "guid must be given");
      await assertRejects(() => starting({ dnsName: "127.0.0.1" }), TypeError, "dnsName");
      assertEquals((await findServicePoints(directory, { guid }))[0].bindingInformation, ["7777"]);
    }),
  { skip },
);

test(
  "the programs of examples/ install the service, serve, find it, talk, and uninstall it",
  () =>
    inDirectory(async (directory, dc) => {
      const env = process.env;
      env.DIRECTORY_SERVER = `dc1.example.test=${dc.address}`;
      try {
        await dc.kinit("Administrator");
        const port = String(await freePort());
        // A host that needs no name server.
        const install = await runExample("service_install", [
          "example.test",
          "WEB1$",
          WEB1,
          "localhost",
          port,
        ]);
        const [said, guid = ""] = install.stdout.trim().split("\n");
        assertEquals(
          [install.code, said],
          [0, `created CN=ADSockAuth,${WEB1}; ADSockAuth/localhost is registered for WEB1$`],
          install.stderr,
        );
        await dc.exportKeytab(join(dc.dir, "svc.keytab"), ["ADSockAuth/localhost"]);
        await dc.kinit("alice");
        const args = ["example.test", "WEB1$", guid, "localhost", port];
        await using server = startExample("service_server", args);
        await server.said("listens on port");
        const client = await runExample("service_client", ["example.test", "hello"]);
        assertEquals(client.stdout.trim().split("\n"), [
          `CN=ADSockAuth,${WEB1}: localhost:${port}, ADSockAuth/localhost`,
          "mutual authentication: true, encrypted: true",
          "alice@EXAMPLE.TEST says hello",
        ], client.stderr);
        // Moved and renamed in the meantime.
        await dc.modify(
          `dn: CN=ADSockAuth,${WEB1}\nchangetype: modrdn\nnewrdn: CN=moved\ndeleteoldrdn: 1\nnewsuperior: CN=Computers,${dc.base}\n`,
        );
        const again = await runExample("service_client", ["example.test", "again"]);
        assert(again.stdout.includes("alice@EXAMPLE.TEST says again"), again.stderr);
        await dc.kinit("Administrator");
        const gone = await runExample("service_install", [
          "example.test",
          "WEB1$",
          "--uninstall",
          guid,
          "ADSockAuth/localhost",
        ]);
        assertEquals(gone.stdout.trim(), "removed the connection point, ADSockAuth/localhost", gone.stderr);
        assertEquals(await spnsOf(directory, "WEB1$"), ["host/WEB1", "host/web1.example.test"]);
      } finally {
        delete env.DIRECTORY_SERVER;
      }
    }),
  { skip: skip ?? noExamples },
);

/** A port that nothing listens on. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

test(
  "installService() takes back what it did where the directory refuses a step",
  () =>
    inDirectory(async (directory, dc, system) => {
      const spns = await spnsOf(directory, "WEB1$");
      const points = () => findServicePoints(directory, { serviceClass: "ADSockAuth" });
      const nothing = async () => {
        assertEquals(await points(), []);
        assertEquals(await spnsOf(directory, "WEB1$"), spns);
      };
      // The SPN is another account's.
      await installService(
        directory,
        service({ account: "svcweb", name: "first", keywords: ["first"], serviceClass: "Taken" }),
      );
      const taken = await assertRejects(
        () => installService(directory, service({ serviceClass: "Taken" })),
        DirectoryError,
      );
      assert(taken.message.includes("svcweb"), taken.message);
      await nothing();
      // Not the owner of the account: the connection point could be published, the SPN not.
      await using own = await openAs(dc, system, "WEB1$");
      await assertRejects(() => installService(own, service({ account: "svchost" })), DirectoryError);
      await nothing();
      // The computer itself may do both for its own name.
      const { point: { guid } } = await installService(own, service());
      // An update is taken back to what it was.
      const update = service({ bindingInformation: 8888, dnsName: "web2.example.test" });
      await assertRejects(() => installService(own, update), DirectoryError);
      assertEquals((await points()).map((point) => [point.guid, point.dnsName, point.bindingInformation]), [
        [guid, HOST, ["7777"]],
      ]);
      // Taking back fails as well: the message says what is left.
      const stuck = failingAt(failingAt(directory, "modify", 1), "delete", 1);
      const left = await assertRejects(
        () => installService(stuck, service({ name: "left", account: "svcweb", dnsName: "a.example.test" })),
        AggregateError,
        "put the connection point",
      );
      assert(left.message.includes(`CN=left,${WEB1}`) && left.message.includes("was cut"), left.message);
      assertEquals(left.errors.length, 2);
      await uninstallService(own, { guid, account: "WEB1$", target: TARGET });
    }),
  { skip },
);

/** The directory, whose `at`-th call of `method` fails before anything is sent. */
function failingAt(
  directory: Directory,
  method: "modify" | "delete",
  at: number,
): Directory {
  let calls = 0;
  return new Proxy(directory, {
    get(target, name) {
      const value = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        if (name === method && ++calls === at) {
          throw new TransportError("ECONNRESET", "the connection was cut");
        }
        return Reflect.apply(value, target, args);
      };
    },
  });
}
