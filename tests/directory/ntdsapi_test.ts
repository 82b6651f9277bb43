/** What writeAccountSpns() and registerHostSpns() refuse; tests/windows has what reaches ntdsapi.dll. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { test } from "@test";
import { registerHostSpns, writeAccountSpns } from "../../directory/mod.ts";
import { UnsupportedPlatformError } from "../../errors.ts";
import { currentPlatform } from "../../ffi/permissions.ts";
import { liveHandles } from "../../testing/mod.ts";

const GOOD = { operation: "add", account: "CN=web,DC=example,DC=test", spns: ["ADSockAuth/web"] } as const;
const onWindows = currentPlatform("").os === "windows" ? "this is about other systems" : null;

test("writeAccountSpns() and registerHostSpns() refuse wrong options by their names", async () => {
  const writing = (more: object) => () => writeAccountSpns({ ...GOOD, ...more } as never);
  await assertRejects(writing({ operation: "set" }), TypeError, "options.operation");
  await assertRejects(writing({ account: "web" }), TypeError, "not a distinguished name");
  await assertRejects(writing({ account: "" }), TypeError, "options.account");
  await assertRejects(writing({ spns: [] }), TypeError, "at least one SPN");
  await assertRejects(writing({ spns: ["nonsense"] }), TypeError, "Invalid SPN");
  await assertRejects(writing({ spns: ["a/b@R"] }), TypeError, "options.spns[0] must not have a realm");
  await assertRejects(writing({ domain: "" }), TypeError, "options.domain");
  await assertRejects(writing({ server: "x" }), TypeError, "options.server is not known");
  const hosting = (more: object) => () =>
    registerHostSpns({ operation: "add", serviceClass: "a", ...more } as never);
  await assertRejects(hosting({ serviceClass: "a/b" }), TypeError, "serviceClass");
  await assertRejects(hosting({ account: "x" }), TypeError, "not a distinguished name");
  assertEquals(liveHandles(), {});
});

test("writeAccountSpns() and registerHostSpns() say what to use elsewhere than on Windows", async () => {
  const calls = [
    () => writeAccountSpns(GOOD),
    () => registerHostSpns({ operation: "add", serviceClass: "ADSockAuth" }),
  ];
  for (const call of calls) {
    const error = await assertRejects(call, UnsupportedPlatformError);
    assert(error.message.includes("registerSpns() of ./directory"), error.message);
  }
  assertEquals(liveHandles(), {});
}, { skip: onWindows });
