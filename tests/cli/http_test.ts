/** `secure-sockets http`, against a server that signs its clients on. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { httpSignOn } from "../../http/mod.ts";
import { openSystem } from "../../mod.ts";
import { freePort, type Realm, startRealm } from "../rig/realm.ts";
import { runCli } from "../support/cli.ts";
import { noRealm } from "../support/kerberos.ts";

type Answer = (request: IncomingMessage, response: ServerResponse, body: string) => void;

/** Runs `body` with the address of a server; `/free` needs no login, everything else does. */
async function withServer(
  answer: Answer,
  body: (base: string, realm: Realm) => Promise<void>,
): Promise<void> {
  await using realm = await startRealm();
  await realm.kinit("alice");
  const restore = realm.applyEnv();
  using system = openSystem({ grants: ["sspi"] });
  const signOn = await httpSignOn({ system, acceptedTargets: ["HTTP/localhost"] });
  const read = async (request: IncomingMessage): Promise<string> => {
    let text = "";
    for await (const chunk of request) text += chunk;
    return text;
  };
  const signed = signOn.node(async (request, response, identity) => {
    (response as ServerResponse).setHeader("x-user", identity.name);
    answer(request as IncomingMessage, response as ServerResponse, await read(request as IncomingMessage));
  });
  const server = createServer((request, response) => {
    if (request.url !== "/free") return void signed(request, response);
    read(request).then((text) => answer(request, response, text));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  try {
    await body(`http://localhost:${(server.address() as { port: number }).port}`, realm);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    signOn.close();
    restore();
  }
}

test("http --negotiate signs on and prints the body; -v reports the mechanism", async () => {
  await withServer((_request, response) => response.end("a page"), async (base, { env }) => {
    const without = await runCli(["http", `${base}/page`], { env });
    assertEquals([without.code, without.stdout.includes("a page")], [0, false]);
    const failing = await runCli(["http", "--fail", `${base}/page`], { env });
    assertEquals([failing.code, failing.stdout], [1, ""]);
    assertStringIncludes(failing.stderr, "the server answered 401");
    const { code, stdout, stderr } = await runCli(["http", "--negotiate", "-v", "-f", `${base}/page`], {
      env,
    });
    assertEquals([code, stdout], [0, "a page"], stderr);
    assertMatch(stderr, /^signed on to HTTP\/localhost.* by kerberos, channel bindings none\n$/);
    const included = await runCli(["http", "--negotiate", "-i", `${base}/page`], { env });
    assertMatch(included.stdout, /^HTTP 200 OK\n(.*\n)*x-user: alice@MIT\.TEST\n(.*\n)*\na page$/);
  });
}, { skip: noRealm });

test("http sends method, header fields and bodies from the argument, a file and standard input", async () => {
  const echo: Answer = ({ method, headers }, response, body) =>
    response.end(`${method} ${headers["x-test"]} ${body}`);
  const folder = mkdtempSync(join(tmpdir(), "secure-sockets-http-"));
  try {
    writeFileSync(join(folder, "body"), "from a file");
    await withServer(echo, async (base, { env }) => {
      const options = ["--negotiate", "-H", "x-test: 1"];
      const post = async (...more: string[]) => {
        const args = ["http", ...options, ...more, `${base}/echo`];
        return (await runCli(args, { env, input: "from standard input" })).stdout;
      };
      assertEquals(await post("-d", "text"), "POST 1 text");
      assertEquals(await post("-d", `@${join(folder, "body")}`, "-X", "put"), "PUT 1 from a file");
      assertEquals(await post("-d", "@-"), "POST 1 from standard input");
      const out = join(folder, "out");
      assertEquals(await post("-d", "x", "-o", out), "");
      assertEquals(readFileSync(out, "utf8"), "POST 1 x");
      const unwritable = await runCli(["http", "-o", join(folder, "none/out"), `${base}/free`], { env });
      assertEquals(unwritable.code, 1);
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}, { skip: noRealm });

test("http prints nothing of a server of another name, and follows redirects only when asked", async () => {
  await withServer((request, response) => {
    if (request.url === "/from") response.writeHead(302, { location: "/to" }).end("moved");
    else response.end("arrived");
  }, async (base, { env }) => {
    const other = await runCli(["http", "--negotiate", "--spn", "HTTP/nowhere", `${base}/`], { env });
    assertEquals([other.code, other.stdout], [1, ""]);
    assertStringIncludes(other.stderr, "The SPN is not registered");
    assertEquals((await runCli(["http", "--negotiate", `${base}/from`], { env })).stdout, "moved");
    assertEquals((await runCli(["http", "--negotiate", "-L", `${base}/from`], { env })).stdout, "arrived");
  });
}, { skip: noRealm });

test("http refuses wrong arguments with 2, and ends with 1 where nothing answers", async () => {
  for (
    const [args, problem] of [
      [["http", "ftp://x"], '"ftp://x" is not a URL of http or https'],
      [["http", "localhost"], "is not a URL"],
      [["http", "http://x", "-H", "nothing"], '--header "nothing" is not NAME:VALUE'],
      [["http", "http://x", "--spn", "HTTP/x"], "--spn goes with --negotiate"],
    ] as const
  ) {
    const { code, stdout, stderr } = await runCli(args);
    assertEquals([code, stdout], [2, ""], stderr);
    assertStringIncludes(stderr, problem);
  }
  const { code, stderr } = await runCli(["http", `http://localhost:${await freePort()}/`]);
  assert(code === 1 && stderr.startsWith("secure-sockets: "), stderr);
});
