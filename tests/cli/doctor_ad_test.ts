/** `secure-sockets doctor` in an Active Directory domain. */

import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import type { Finding } from "../../cli/doctor/report.ts";
import type { Io } from "../../cli/io.ts";
import { spnFinding } from "../../cli/doctor/windows.ts";
import { openSystem } from "../../mod.ts";
import { directoryOf } from "../support/directory.ts";
import { startAdDc } from "../rig/ad_dc.ts";
import { noAdDc } from "../support/ad.ts";
import { runCli } from "../support/cli.ts";

test("doctor asks a domain controller, and gets a ticket for a service of the domain", async () => {
  await using dc = await startAdDc();
  await dc.kinit("alice");
  const [service] = dc.services;
  const spn = service.replace(/@.*/, "");
  const { stdout } = await runCli(["doctor", spn, "--json"], { env: dc.env });
  const { findings } = JSON.parse(stdout) as { findings: Finding[] };
  const find = (check: string): Finding => findings.find((finding) => finding.check === check)!;
  assertStringIncludes(find("KDC").text, `${dc.address}:88 answered in`);
  assertEquals([find("clock").verdict, find("tickets").verdict, find("key table").verdict], [
    "ok",
    "ok",
    "ok",
  ]);
  assertStringIncludes(find(spn).text, "ticket obtained");
  assert(find("own key table").verdict === "ok", stdout);

  const restore = dc.applyEnv();
  const system = openSystem({ grants: ["sspi"] });
  try {
    const io = {
      signal: new AbortController().signal,
      waiting: <T>(_: string, work: Promise<T>) => work,
    } as Io;
    const found = await spnFinding(directoryOf(dc, system), "svcweb", io);
    assertEquals([found.verdict, found.check], ["ok", "SPNs"], found.text);
    assertStringIncludes(found.text, "svcweb has HTTP/web.example.test");
    const none = await spnFinding(directoryOf(dc, system), "nobody", io);
    assertEquals([none.verdict, none.advice], ["unknown", "setspn -L nobody"]);
  } finally {
    system.close();
    restore();
  }
}, { skip: noAdDc });
