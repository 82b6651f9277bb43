/** Clients that others wrote sign on at httpSignOn(): python-requests, .NET, Java, Chromium and Firefox. */

import { existsSync, writeFileSync } from "node:fs";
import { createServer } from "node:https";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import type { HttpIdentity, HttpSignOnOptions } from "../../http/mod.ts";
import { findProgram, mustRun, run } from "../../scripts/process.ts";
import { browserUnavailable, chromiumPage, firefoxLoad } from "../rig/browsers.ts";
import { certificatesUnavailable, makeCertificate } from "../rig/certificates.ts";
import { ensureDotnet } from "../rig/dotnet.ts";
import type { Realm } from "../rig/realm.ts";
import { listenNode, openSignOn } from "../support/http_server.ts";
import { inRealm, noRealm } from "../support/kerberos.ts";
import { ROOT } from "../support/root.ts";

const CLIENTS = fileURLToPath(new URL("tests/integration/fixtures/http_clients/", ROOT));
// Debian's packages are for Debian's Python, whichever is first in PATH.
const PYTHON = "/usr/bin/python3";
const dotnet = await ensureDotnet({ install: false });
const noDotnet = "reason" in dotnet ? dotnet.reason : null;
const noJava = findProgram("java") ? null : "Java is needed: install openjdk-17-jdk-headless";

/** Why Debian's Python has no such module; `null` where it does. */
async function pythonLacks(module: string, packageName: string): Promise<string | null> {
  const found = existsSync(PYTHON) && (await run(PYTHON, ["-c", `import ${module}`])).code === 0;
  return found ? null : `install ${packageName}`;
}

/** A page that greets whoever signed on, and who that was. */
async function serving(
  body: (url: string, seen: HttpIdentity[], reasons: () => string[], realm: Realm) => Promise<void>,
): Promise<void> {
  await inRealm(async (realm, system) => {
    using watched = await openSignOn(system, { acceptDelegation: true });
    const seen: HttpIdentity[] = [];
    await using server = await listenNode(watched.signOn.node(async (request, response, identity) => {
      seen.push(identity);
      let length = 0;
      for await (const chunk of request) length += (chunk as Uint8Array).length;
      response.setHeader("content-type", "text/html");
      response.end(`Hello ${identity.name} ${length}`);
    }));
    await body(server.url, seen, watched.reasons, realm);
  });
}

/** The realm's variables, without the services' keys. */
function clientEnv(realm: Realm): Record<string, string> {
  return { ...realm.env, KRB5_KTNAME: "FILE:/nonexistent" };
}

const GET = "200 Hello alice@MIT.TEST 0";
const POST = "200 Hello alice@MIT.TEST 50000";

test(
  "python3-requests-kerberos signs on with bare Kerberos tokens, and accepts the server's proof",
  () =>
    serving(async (url, _seen, reasons, realm) => {
      const { stdout } = await mustRun(PYTHON, [`${CLIENTS}requests_client.py`, url], {
        env: clientEnv(realm),
      });
      assertEquals(stdout.trim().split("\n"), [GET, POST]);
      assertEquals(reasons(), []);
    }),
  { skip: noRealm ?? await pythonLacks("requests_kerberos", "python3-requests-kerberos") },
);

test(
  ".NET's HttpClient signs on as the user of the process, request by request, and posts its body",
  () =>
    serving(async (url, seen, reasons, realm) => {
      assert("start" in dotnet);
      await using peer = dotnet.start(["http", "--url", url], clientEnv(realm));
      const events = await peer.rest();
      assertEquals(events.map(({ status, body }) => `${status} ${body}`), [GET, GET, POST]);
      assertEquals(seen.map(({ security }) => security.mutualAuthentication), [false, false, false]);
      assertEquals(reasons(), []);
    }),
  { skip: noRealm ?? noDotnet },
);

test(
  "Java's HttpURLConnection signs on by itself, and its HttpClient with tokens of JGSS, which are answered",
  () =>
    serving(async (url, _seen, reasons, realm) => {
      const login = join(realm.dir, "jaas.conf");
      const cache = realm.env.KRB5CCNAME.replace("FILE:", "");
      const module =
        `com.sun.security.auth.module.Krb5LoginModule required doNotPrompt=true useTicketCache=true`;
      const entries = ["com.sun.security.jgss.initiate", "com.sun.security.jgss.krb5.initiate"];
      writeFileSync(
        login,
        entries.map((name) => `${name} { ${module} ticketCache="${cache}"; };`).join("\n"),
      );
      const { stdout } = await mustRun(findProgram("java")!, [
        ...["-XX:TieredStopAtLevel=1", "-XX:-UsePerfData", "-Djavax.security.auth.useSubjectCredsOnly=false"],
        ...[
          `-Djava.security.krb5.conf=${realm.env.KRB5_CONFIG}`,
          `-Djava.security.auth.login.config=${login}`,
        ],
        ...[`${CLIENTS}SignOn.java`, url],
      ], { env: clientEnv(realm) });
      assertEquals(stdout.trim().split("\n"), [POST, `${GET} true true`]);
      assertEquals(reasons(), []);
    }),
  { skip: noRealm ?? noJava },
);

test(
  "Chromium shows the page of the user who signed on",
  () =>
    serving(async (url, seen, reasons, realm) => {
      assertStringIncludes(await chromiumPage(url, clientEnv(realm)), "Hello alice@MIT.TEST");
      assertEquals([seen[0].name, reasons()], ["alice@MIT.TEST", []]);
    }),
  { skip: noRealm ?? browserUnavailable("chromium") },
);

test(
  "Firefox loads the page as the user who signed on",
  () =>
    serving(async (url, seen, reasons, realm) => {
      await firefoxLoad(url, clientEnv(realm));
      assertEquals([seen[0]?.name, reasons()], ["alice@MIT.TEST", []]);
    }),
  { skip: noRealm ?? browserUnavailable("firefox-esr") },
);

test(
  "python3-gssapi is accepted by its channel bindings: always refuses none and wrong ones, whenSupported wrong ones",
  () =>
    inRealm(async (realm, system) => {
      const { cert, key } = await makeCertificate();
      const file = join(realm.dir, "cert.pem");
      writeFileSync(file, cert);
      const statuses = async (channelBindings: HttpSignOnOptions["channelBindings"]) => {
        using watched = await openSignOn(system, { channelBindings });
        const handler = watched.signOn.node((_request, response, { security }) =>
          response.end(security.channelBindings)
        );
        await using server = await listenNode(createServer({ cert, key }, handler));
        const { stdout } = await mustRun(PYTHON, [`${CLIENTS}bindings_client.py`, `${server.port}`, file], {
          env: clientEnv(realm),
        });
        return [stdout.trim().split("\n").map((line) => line.split(" ")[2]), watched.reasons()] as const;
      };
      const [always, reasons] = await statuses({ certificate: cert });
      assertEquals(always, ["200", "401", "401", "200", "401", "401"]);
      assertEquals(new Set(reasons), new Set(["channel-bindings"]));
      const [some] = await statuses({ certificate: () => cert, policy: "whenSupported" });
      assertEquals(some, ["200", "200", "401", "200", "200", "401"]);
    }),
  { skip: noRealm ?? certificatesUnavailable() ?? await pythonLacks("gssapi", "python3-gssapi") },
);
