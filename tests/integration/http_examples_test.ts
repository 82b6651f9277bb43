/** The HTTP servers of examples/, run as a reader runs them. */

import { assertEquals, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { openInitiator } from "../../mod.ts";
import { inDomain, noAdDc } from "../support/ad.ts";
import { noExamples } from "../support/example.ts";
import { ask, askProved } from "../support/http_server.ts";
import { inRealm, noRealm } from "../support/kerberos.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Runs an example with the permissions in its comment, on a free port, until `body` has ended. */
async function serving(
  name: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  body: (url: string) => Promise<void>,
): Promise<string> {
  const file = `examples/${name}.ts`;
  const flags = /deno run ((?:--allow-\w+ )+)/.exec(readFileSync(root + file, "utf8"))![1].trim().split(" ");
  const server = spawn(process.execPath, [
    "run",
    "--no-prompt",
    "--quiet",
    "--no-lock",
    ...flags,
    file,
    "0",
    ...args,
  ], {
    cwd: root,
    env: { ...process.env, ...env, NO_COLOR: "1" },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let errors = "";
  server.stderr.setEncoding("utf8").on("data", (text: string) => errors += text);
  const ended = new Promise((resolve) => server.on("close", resolve));
  try {
    const { value, done } = await createInterface({ input: server.stdout })[Symbol.asyncIterator]().next();
    if (done) throw new Error(`examples/${name}.ts ended: ${errors}`);
    await body(value);
  } finally {
    server.kill("SIGKILL");
    await ended;
  }
  return errors;
}

test(
  "examples/http_server.ts knows the groups of a domain's user, and lets the group in that it was given",
  () =>
    inDomain(async (dc, system) => {
      const [, sid] = /objectSid: (\S+)/.exec(
        await dc.tool(["group", "show", "Outer", "--attributes=objectSid"]),
      )!;
      await serving("http_server", [sid], dc.env, async (url) => {
        for (const [user, operators] of [["alice", 200], ["bob", 403]] as const) {
          await dc.kinit(user);
          using initiator = await openInitiator({ system });
          const get = (path: string) => askProved(initiator, url + path, {}, "HTTP/web.example.test");
          const { status, text } = await get("");
          const { name, groups, mechanism } = JSON.parse(text);
          assertEquals([status, name, mechanism], [200, `${user}@EXAMPLE.TEST`, "kerberos"]);
          assertEquals(groups > 0, true);
          assertEquals((await get("operators")).status, operators);
        }
      });
    }),
  { skip: noAdDc ?? noExamples },
);

for (const name of ["express_server", "hono_server"]) {
  test(
    `examples/${name}.ts signs on users in one part of its site, and logs whom it refuses`,
    () =>
      inRealm(async (realm, system) => {
        using alice = await openInitiator({ system });
        const errors = await serving(name, [], realm.env, async (url) => {
          assertEquals(JSON.parse((await askProved(alice, url)).text), { name: "alice@MIT.TEST" });
          assertEquals((await ask(url)).status, 401);
          assertEquals((await ask(new URL("/health", url))).text, "ok");
          assertEquals((await ask(url, { headers: { authorization: "Negotiate AAAA" } })).status, 401);
        });
        assertStringIncludes(errors, "refused: bad-token");
      }),
    { skip: noRealm ?? noExamples },
  );
}
