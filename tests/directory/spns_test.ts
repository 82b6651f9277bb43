/** Registration of SPNs against a domain controller of Samba: what changes, what is refused, and what is said of it. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { test } from "@test";
import type { ProviderSystem } from "../../contract.ts";
import {
  type Directory,
  findDuplicateSpns,
  listSpns,
  openDirectory,
  registerSpns,
  unregisterSpns,
  verifySpns,
} from "../../directory/mod.ts";
import { DirectoryError, TransportError } from "../../errors.ts";
import { findProgram, mustRun } from "../../scripts/process.ts";
import { Spn } from "../../spn.ts";
import type { AdDc } from "../rig/ad_dc.ts";
import { inDomain, noAdDc } from "../support/ad.ts";
import { directoryOf } from "../support/directory.ts";
import { done, entry, message, result, startFakeDirectory } from "../support/fake_ldap_server.ts";
import { inRealm, noRealm } from "../support/kerberos.ts";

const skip = noAdDc;

/** Opens the directory as a user of the domain. */
function openAs(dc: AdDc, system: ProviderSystem, username: keyof AdDc["users"]): Promise<Directory> {
  const credentials = { username, domain: dc.realm, password: dc.users[username] };
  return openDirectory({ ...directoryOf(dc, system), credentials });
}

/** The same directory with other members. */
function like(directory: Directory, members: Partial<Directory>): Directory {
  return new Proxy(directory, {
    get(target, name) {
      const value = Reflect.get(members, name) ?? Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

async function textsOf(directory: Directory, account: string): Promise<string[]> {
  return (await listSpns(directory, account)).spns.map(({ text }) => text);
}

test(
  "registerSpns() adds exactly what is missing, unregisterSpns() removes exactly what is there",
  () =>
    inDomain(async (dc, system) => {
      await using directory = await openAs(dc, system, "Administrator");
      const before = await textsOf(directory, "svcweb");
      const spns = [
        "HTTP/www.example.test",
        Spn.parse("HTTP/www.example.test:8080"),
        "http/WWW.example.test",
      ];
      const added = await registerSpns(directory, "EXAMPLE\\svcweb", spns);
      assertEquals(added.changed, ["HTTP/www.example.test", "HTTP/www.example.test:8080"]);
      assertEquals([added.unchanged, added.searched], [[], "forest"]);
      assertEquals(added.account, {
        dn: `CN=svcweb,CN=Users,${dc.base}`,
        name: "svcweb",
        kind: "user",
        domain: "example.test",
      });
      assertEquals(await textsOf(directory, "svcweb"), [...before, ...added.changed].toSorted());
      const again = await registerSpns(directory, added.account.dn, [...spns, "HTTP/new.example.test"]);
      assertEquals([again.changed, again.unchanged], [["HTTP/new.example.test"], added.changed]);
      const removed = await unregisterSpns(directory, "svcweb", [
        "http/NEW.example.test",
        "HTTP/never.example.test",
        ...added.changed,
      ]);
      assertEquals(removed.changed, ["HTTP/new.example.test", ...added.changed]);
      assertEquals(removed.unchanged, ["HTTP/never.example.test"]);
      assertEquals(await textsOf(directory, "svcweb"), before);
    }),
  { skip },
);

test(
  "registerSpns() names the account of the forest that has the SPN, or the host SPN that covers it",
  () =>
    inDomain(async (dc, system) => {
      await using directory = await openAs(dc, system, "Administrator");
      const taken = await assertRejects(
        () => registerSpns(directory, "svchost", ["ftp/x.example.test", "http/WEB.example.test"]),
        DirectoryError,
        `svcweb (CN=svcweb,CN=Users,${dc.base}) has it`,
      );
      assertEquals(taken.resultCode, 19);
      assert(
        taken.message.includes("setspn -D HTTP/WEB.example.test svcweb") ||
          taken.message.includes("setspn -D"),
      );
      await assertRejects(
        () => registerSpns(directory, "svcweb", ["HTTP/web1.example.test"]),
        DirectoryError,
        "WEB1$ (CN=WEB1,CN=Computers,DC=example,DC=test) has host/web1.example.test, which covers it",
      );
      assertEquals(await textsOf(directory, "svchost"), ["host/localhost"]);
    }),
  { skip },
);

test(
  "registerSpns() checks the rules of validated writes where a computer registers itself",
  () =>
    inDomain(async (dc, system) => {
      await using directory = await openAs(dc, system, "WEB1$");
      const { changed } = await registerSpns(directory, "WEB1$", ["HTTP/web1.example.test", "HTTP/WEB1"]);
      assertEquals(changed, ["HTTP/web1.example.test", "HTTP/WEB1"]);
      const refused = await assertRejects(
        () =>
          registerSpns(directory, "WEB1", [
            "x/web1.example.test",
            "HTTP/other.example.test",
            "HTTP/web1.example.test:8080",
            "ldap/web1.example.test/example.test",
          ]),
        DirectoryError,
      );
      assertEquals(refused.resultCode, 19);
      for (
        const part of [
          "HTTP/other.example.test: its host is not a name of WEB1$, which are web1.example.test, WEB1",
          "HTTP/web1.example.test:8080: it has a port",
          "ldap/web1.example.test/example.test: it has three parts",
          "setspn -S HTTP/other.example.test WEB1$",
        ]
      ) assert(refused.message.includes(part), refused.message);
      assert(!refused.message.includes("x/web1.example.test:"), refused.message);
      await unregisterSpns(directory, "WEB1$", changed);
      assertEquals(await textsOf(directory, "WEB1$"), ["host/WEB1", "host/web1.example.test"]);
    }),
  { skip },
);

test(
  "registerSpns() and unregisterSpns() say who may do it where the account may not",
  () =>
    inDomain(async (dc, system) => {
      await using directory = await openAs(dc, system, "alice");
      for (
        const [doing, spn] of [[registerSpns, "HTTP/a.example.test"], [
          unregisterSpns,
          "HTTP/web.example.test",
        ]] as const
      ) {
        const error = await assertRejects(
          () => doing(directory, "svcweb", [spn]),
          DirectoryError,
          "setspn -S",
        );
        assertEquals([error.resultCode, error.resultName], [50, "insufficientAccessRights"]);
      }
      await assertRejects(() => registerSpns(directory, "nobody", ["a/b"]), DirectoryError, "has no account");
      await assertRejects(() => listSpns(directory, `CN=x,${dc.base}`), DirectoryError, "no object has");
      await assertRejects(() => listSpns(directory, "other.test\\svcweb"), DirectoryError, "another domain");
      await assertRejects(() => listSpns(directory, "OTHER\\svcweb"), DirectoryError, "another domain");
      assertEquals((await listSpns(directory, "example\\svcweb")).account.name, "svcweb");
      for (const wrong of ["", "a@b", "a\\b\\c", "\ud800"]) {
        await assertRejects(() => listSpns(directory, wrong), TypeError, "account");
      }
      await assertRejects(() => registerSpns(directory, "svcweb", []), TypeError, "at least one");
      await assertRejects(() => registerSpns(directory, "svcweb", ["a/b@C"]), TypeError, "realm");
      // Nothing in a name has a meaning for the search.
      await assertRejects(() => listSpns(directory, "svc*"), DirectoryError, "has no account");
      await assertRejects(() => listSpns(directory, "x)(a*"), DirectoryError, "has no account");
    }),
  { skip },
);

test(
  "verifySpns() and findDuplicateSpns() find what setspn could not have made",
  () =>
    inDomain(async (dc, system) => {
      // Past the rules of the directory, as a restored backup or another version of Windows leaves it.
      const partition = `${dc.dir}/private/sam.ldb.d/DC=EXAMPLE,DC=TEST.ldb`;
      const ldif = [
        `dn: CN=svchost,CN=Users,${dc.base}`,
        "changetype: modify",
        "add: servicePrincipalName",
        "servicePrincipalName: http/WEB.example.test",
        "servicePrincipalName: not an SPN",
        "",
      ];
      await mustRun(findProgram("ldbmodify")!, ["-H", partition], { env: dc.env, input: ldif.join("\n") });
      await using directory = await openAs(dc, system, "alice");
      const good = await verifySpns(directory, "WEB1$", ["host/web1.example.test", "HOST/web1"]);
      assertEquals([good.ok, good.missing, good.conflicts, good.advice], [true, [], [], []]);
      const bad = await verifySpns(directory, "svcweb", ["HTTP/web.example.test", "HTTP/b.example.test"]);
      assertEquals([bad.ok, bad.registered, bad.missing], [false, ["HTTP/web.example.test"], [
        "HTTP/b.example.test",
      ]]);
      assertEquals(bad.conflicts.map(({ spn, owners }) => [spn, owners.map(({ name }) => name)]), [
        ["HTTP/web.example.test", ["svchost"]],
      ]);
      assertEquals(bad.advice, [
        "setspn -D HTTP/web.example.test svchost",
        "setspn -S HTTP/b.example.test svcweb",
      ]);
      const { duplicates, accounts, searched } = await findDuplicateSpns(directory);
      assertEquals(duplicates.map(({ owners }) => owners.map(({ name }) => name).toSorted()), [[
        "svchost",
        "svcweb",
      ]]);
      assertEquals([accounts >= 4, searched], [true, "forest"]);
      const alone = like(directory, {
        openGlobalCatalog: () => Promise.reject(new TransportError("ECONNREFUSED", "No")),
      });
      assertEquals((await verifySpns(alone, "svcweb", ["a/b"])).searched, "domain");
      assertEquals((await findDuplicateSpns(alone)).searched, "domain");
      const stopped = { signal: AbortSignal.abort(new RangeError("enough")) };
      await assertRejects(() => findDuplicateSpns(alone, stopped), RangeError, "enough");
      const { spns } = await listSpns(directory, "svchost");
      assertEquals(spns.find(({ text }) => text === "not an SPN")?.spn, null);
    }),
  { skip },
);

test(
  "listSpns() and unregisterSpns() serve an account with 1,000 SPNs, and what is done in part is undone",
  () =>
    inDomain(async (dc, system) => {
      const many = Array.from({ length: 1000 }, (_, index) => `HTTP/h${index}.example.test`);
      await using directory = await openAs(dc, system, "Administrator");
      const { changed } = await registerSpns(directory, "svcweb", many);
      assertEquals(changed.length, 1000);
      const entry = await directory.read(`CN=svcweb,CN=Users,${dc.base}`, {
        attributes: ["servicePrincipalName"],
        valuesPerRequest: 300,
      });
      assertEquals(entry?.attributes, ["servicePrincipalName"]);
      assertEquals(new Set(entry?.texts("servicePrincipalName")).size, 1001);
      // The second part of the change is refused: the first one comes back.
      let calls = 0;
      const failing = like(directory, {
        modify: (...args) =>
          ++calls === 2
            ? Promise.reject(new DirectoryError(53, "unwillingToPerform", "No"))
            : directory.modify(...args),
      });
      await assertRejects(() => unregisterSpns(failing, "svcweb", many), DirectoryError, "policy forbids it");
      assertEquals([calls, (await listSpns(directory, "svcweb")).spns.length], [3, 1001]);
      await unregisterSpns(directory, "svcweb", many);
      assertEquals(await textsOf(directory, "svcweb"), ["HTTP/web.example.test"]);
    }),
  { skip },
);

test(
  "registerSpns() says where somebody else has registered the SPN at the same moment, as a controller answers it",
  () =>
    inDomain(async (dc, system) => {
      await using directory = await openAs(dc, system, "Administrator");
      const racing = like(directory, {
        async modify(dn, changes, options) {
          await directory.modify(dn, changes);
          await directory.modify(dn, changes, options);
        },
      });
      const error = await assertRejects(
        () => registerSpns(racing, "svcweb", ["x/race.example.test"]),
        DirectoryError,
        "another change has added one of them meanwhile",
      );
      assertEquals([error.resultCode, error.resultName], [20, "attributeOrValueExists"]);
      // It is the other one's, and stays.
      assert((await textsOf(directory, "svcweb")).includes("x/race.example.test"));
    }),
  { skip },
);

/** What a change of SPNs can be answered by; a controller answers 64 to names alone, never to values. */
const REFUSALS = {
  16: "another change has removed one of them meanwhile",
  19: "a value violates a rule",
  20: "another change has added one of them meanwhile",
  32: "the account was deleted or moved meanwhile",
  50: "setspn -S x/y svcweb",
  53: "the directory's policy forbids it",
  64: "cannot lie under this parent",
  68: "An object of this name exists",
};

test(
  "every refusal of a change of SPNs keeps its code and says what to do",
  () =>
    inRealm(async (_, system) => {
      const [SEARCH, MODIFIED] = [0x63, 0x67];
      const account = { objectClass: ["user"], sAMAccountName: ["svcweb"] };
      for (const [code, words] of Object.entries(REFUSALS)) {
        const sasl = { mechanism: "GSS-SPNEGO", acceptedTargets: ["host/localhost"], system } as const;
        await using server = await startFakeDirectory({
          sasl,
          answer: ({ id, tag }) =>
            tag === SEARCH
              ? [message(id, entry("CN=svcweb", account)), message(id, done())]
              : [message(id, result(MODIFIED, Number(code), "No"))],
        });
        await using directory = await openDirectory({
          ...{ servers: [{ hostname: "localhost", port: server.port, address: "127.0.0.1" }], system },
          ...{ target: "host/localhost", resolver: { records: () => Promise.resolve([]) } },
        });
        const error = await assertRejects(
          () => registerSpns(directory, "CN=svcweb", ["x/y"]),
          DirectoryError,
          words,
        );
        assertEquals(error.resultCode, Number(code));
      }
    }),
  { skip: noRealm },
);
