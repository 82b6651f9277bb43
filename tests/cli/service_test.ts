/** `secure-sockets service` as a program, against a domain controller of Samba. */

import { assert, assertEquals } from "@std/assert";
import { test } from "@test";
import type { RunResult } from "../../scripts/process.ts";
import { inDomain, noAdDc } from "../support/ad.ts";
import { runCli } from "../support/cli.ts";

const WEB1 = "CN=WEB1,CN=Computers,DC=example,DC=test";

test("service: wrong usage is 2, and says what to give", async () => {
  for (
    const [args, words] of [
      [["frobnicate"], "is not an action; use one of publish, find, remove"],
      [["remove"], "service remove takes GUID"],
      [["publish", "x"], "service publish takes no arguments"],
      [["find", "x"], "Give --domain or --server"],
      [["publish", "--spn", "both"], "use one of host, replicable"],
      [["find", "--spn", "host"], "service find has no option --spn; it has --domain, "],
    ] as const
  ) {
    const result = await runCli(["service", ...args], { env: { USERDNSDOMAIN: undefined } as never });
    assertEquals([result.code, result.stderr.includes(words)], [2, true], result.stderr);
  }
});

test(
  "service publish, find and remove do what they say, with exit statuses and JSON",
  () =>
    inDomain(async (dc) => {
      await dc.kinit("Administrator");
      const server = ["--domain", "example.test", "--server", "dc1.example.test", "--address", dc.address];
      const service = (...args: string[]): Promise<RunResult> =>
        runCli(["service", ...args, ...server], { env: dc.env });
      const incomplete = await service("publish", "--under", WEB1, "--name", "Files");
      assertEquals(
        [incomplete.code, incomplete.stderr.includes("Give --class")],
        [2, true],
        incomplete.stderr,
      );
      const installed = await service(
        ...[
          "publish",
          "--under",
          WEB1,
          "--name",
          "Files",
          "--class",
          "ADSockAuth",
          "--keyword",
          "files",
          "--keyword",
        ],
        ...["red\u202e", "--host", "web1.example.test", "--port", "7777", "--account", "WEB1$"],
      );
      const guid = installed.stdout.trim();
      assertEquals([installed.code, guid.length], [0, 36], installed.stderr);
      assert(
        installed.stderr.includes("ADSockAuth/web1.example.test is registered for WEB1$"),
        installed.stderr,
      );
      await dc.modify(
        `dn: CN=Files,${WEB1}\nchangetype: modrdn\nnewrdn: CN=Moved\ndeleteoldrdn: 1\nnewsuperior: CN=Computers,${dc.base}\n`,
      );
      const updated = await service("publish", "--guid", guid, "--port", "7778", "--json");
      const { change, point } = JSON.parse(updated.stdout);
      assertEquals([updated.code, change, point.dn], [0, "updated", `CN=Moved,CN=Computers,${dc.base}`]);
      assertEquals([point.guid, point.bindingInformation, point.keywords.length], [guid, ["7778"], 2]);
      const found = await service("find", "FILES", "--near", "me.example.test");
      assertEquals(found.code, 0, found.stderr);
      assert(found.stdout.startsWith(`${guid} ADSockAuth web1.example.test 7778\n`), found.stdout);
      assert(found.stdout.includes("red\\u202e") && !found.stdout.includes("\u202e"), found.stdout);
      const none = await service("find", "nothing", "--json");
      assertEquals([none.code, JSON.parse(none.stdout)], [1, []]);
      const misplaced = await service(
        ...[
          "publish",
          "--under",
          `CN=alice,CN=Users,${dc.base}`,
          "--name",
          "x",
          "--class",
          "c",
          "--keyword",
          "k",
        ],
        ...["--host", "h.example.test", "--port", "1"],
      );
      assertEquals(
        [misplaced.code, misplaced.stderr.includes("cannot lie under a user")],
        [1, true],
        misplaced.stderr,
      );
      const removed = await service(
        ...["remove", guid, "--account", "WEB1$", "--target", "ADSockAuth/web1.example.test"],
      );
      assertEquals(
        [removed.code, removed.stdout],
        [0, `removed ${guid}\nunregistered ADSockAuth/web1.example.test\n`],
        removed.stderr,
      );
      assertEquals((await service("remove", guid)).code, 1);
    }),
  { skip: noAdDc },
);
