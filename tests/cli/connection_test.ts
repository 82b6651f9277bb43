/** `secure-sockets connect` and `listen`, as two processes in a realm. */

import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { addressText, parseAddress } from "../../cli/transfer.ts";
import { UsageError } from "../../cli/command.ts";
import { freePort, type Realm, startRealm } from "../rig/realm.ts";
import { runCli, startCli, type Started } from "../support/cli.ts";
import { noRealm } from "../support/kerberos.ts";

async function withTicket(): Promise<Realm> {
  const realm = await startRealm();
  await realm.kinit("alice");
  return realm;
}

async function portOf(server: Started): Promise<string> {
  return (await server.until("stderr", /listening on 127\.0\.0\.1:(\d+)\n/))[1];
}

test("listen and connect carry standard input both ways, name the peer, and end with 0", async () => {
  await using realm = await withTicket();
  await using server = startCli(["listen", "127.0.0.1:0", "--accept", "host/localhost"], realm.env);
  const port = await portOf(server);
  server.child.stdin!.end("from the server\n");
  const client = await runCli(["connect", `localhost:${port}`], {
    env: realm.env,
    input: "from the client\n",
  });
  assertEquals([client.code, client.stdout], [0, "from the server\n"], client.stderr);
  assertEquals(
    client.stderr,
    "connected to host/localhost (kerberos by negotiate, encrypted, both ends authenticated)\n",
  );
  assertEquals([await server.ended, server.written.stdout], [0, "from the client\n"]);
  assertMatch(
    server.written.stderr,
    /^alice@MIT\.TEST connected from 127\.0\.0\.1:\d+ \(kerberos by negotiate/m,
  );
}, { skip: noRealm });

test(
  "listen --echo --keep serves one client after another, any bytes, and SIGINT ends it with 130",
  async () => {
    await using realm = await withTicket();
    await using server = startCli(["listen", "127.0.0.1:0", "--echo", "--keep"], realm.env);
    const port = await portOf(server);
    const input = Array.from({ length: 300_000 }, (_, at) => String.fromCharCode(at * 7 % 128)).join("");
    for (const options of [["-q"], ["--quiet", "--timeout", "20"]]) {
      const { code, stdout, stderr } = await runCli([
        "connect",
        `localhost:${port}`,
        "host/localhost",
        ...options,
      ], {
        env: realm.env,
        input,
      });
      assertEquals([code, stderr], [0, ""]);
      assert(stdout === input);
    }
    server.child.kill("SIGINT");
    assertEquals(await server.ended, 130);
  },
  { skip: noRealm },
);

test("connect sends all of its standard input, although the server has ended its stream", async () => {
  await using realm = await withTicket();
  await using server = startCli(["listen", "127.0.0.1:0"], realm.env);
  const port = await portOf(server);
  server.child.stdin!.end("bye");
  await using client = startCli(["connect", `localhost:${port}`], realm.env);
  await client.until("stdout", /bye/);
  const input = "0123456789".repeat(50_000);
  client.child.stdin!.end(input);
  assertEquals([await client.ended, client.written.stdout], [0, "bye"]);
  assertEquals(await server.ended, 0);
  assert(server.written.stdout === input);
}, { skip: noRealm });

test("listen --keep sends nothing, and prints what one client after another sends", async () => {
  await using realm = await withTicket();
  await using server = startCli(["listen", "127.0.0.1:0", "--keep"], realm.env);
  const port = await portOf(server);
  for (const input of ["first\n", "second\n"]) {
    const { code, stdout } = await runCli(["connect", `localhost:${port}`], { env: realm.env, input });
    assertEquals([code, stdout], [0, ""]);
  }
  await server.until("stdout", /^first\nsecond\n$/);
}, { skip: noRealm });

test("connect and listen as kerberos(), with a key table given", async () => {
  await using realm = await withTicket();
  const keytab = realm.env.KRB5_KTNAME.replace("FILE:", "");
  const env = { ...realm.env, KRB5_KTNAME: "FILE:/nonexistent" };
  await using server = startCli(["listen", "127.0.0.1:0", "--provider", "kerberos", "--keytab", keytab], env);
  const port = await portOf(server);
  server.child.stdin!.end();
  const args = ["connect", `localhost:${port}`, "--provider", "kerberos"];
  const { code, stderr } = await runCli(args, { env: realm.env, input: "" });
  assertEquals([code, stderr], [
    0,
    "connected to host/localhost (kerberos, encrypted, both ends authenticated)\n",
  ]);
}, { skip: noRealm });

test("listen reports whom it refused and goes on; connect prints the reason and ends with 1", async () => {
  await using realm = await withTicket();
  await using server = startCli(["listen", "127.0.0.1:0", "--accept", "HTTP/localhost"], realm.env);
  const port = await portOf(server);
  const refused = await runCli(["connect", `localhost:${port}`], { env: realm.env, input: "secret" });
  assertEquals([refused.code, refused.stdout], [1, ""]);
  assertMatch(refused.stderr, /^secure-sockets: The server refused the handshake with 1790/);
  const [line] = await server.until("stderr", /^refused 127\.0\.0\.1:\d+: .*\n/m);
  assertStringIncludes(line, "not among acceptedTargets");
  const unknown = await runCli(["connect", `localhost:${port}`, "HTTP/nowhere"], {
    env: realm.env,
    input: "",
  });
  assertEquals(unknown.code, 1);
  assertStringIncludes(unknown.stderr, "The SPN is not registered");
  server.child.stdin!.end();
  const good = await runCli(["connect", `localhost:${port}`, "HTTP/localhost"], {
    env: realm.env,
    input: "x",
  });
  assertEquals([good.code, await server.ended, server.written.stdout], [0, 0, "x"]);
}, { skip: noRealm });

test("connect refuses wrong arguments with 2, and a port without a server with 1", async () => {
  for (
    const [args, problem] of [
      [["connect"], "connect needs HOST:PORT [SPN]"],
      [["connect", "7777"], '"7777" names no host'],
      [["connect", "localhost"], '"localhost" is not HOST:PORT'],
      [["connect", "localhost:7777", "--timeout", "soon"], '--timeout "soon" is not a number of seconds'],
      [["connect", "localhost:7777", "--provider", "ntlm"], '--provider "ntlm" is unknown'],
      [["listen", "localhost:65536"], '"localhost:65536" is not HOST:PORT'],
    ] as const
  ) {
    const { code, stdout, stderr } = await runCli(args);
    assertEquals([code, stdout], [2, ""], stderr);
    assertStringIncludes(stderr, problem);
  }
});

test("connect ends with 1 where no server listens, or there is no ticket", async () => {
  await using realm = await withTicket();
  const args = ["connect", `localhost:${await freePort()}`];
  const { code, stderr } = await runCli(args, { env: realm.env });
  assertEquals(code, 1);
  assertStringIncludes(stderr, "Is the server running");
  const nobody = {
    ...realm.env,
    KRB5CCNAME: "FILE:/nonexistent/cc",
    KRB5_CLIENT_KTNAME: "FILE:/nonexistent/keys",
  };
  const without = await runCli(args, { env: nobody });
  assertEquals(without.code, 1);
  assertStringIncludes(without.stderr, "Log in with kinit");
}, { skip: noRealm });

test("parseAddress reads what addressText writes, and refuses the rest", () => {
  const port = fc.nat(65_535);
  const hostname = fc.oneof(fc.domain(), fc.ipV4(), fc.ipV6());
  fc.assert(fc.property(hostname, port, (hostname, port) => {
    assertEquals(parseAddress(addressText({ hostname, port })), { hostname, port });
  }));
  assertEquals(parseAddress("7777"), { port: 7777 });
  fc.assert(fc.property(fc.string(), (text) => {
    try {
      const { port } = parseAddress(text);
      assert(Number.isInteger(port) && port >= 0 && port <= 65_535);
    } catch (error) {
      assert(error instanceof UsageError);
    }
  }));
});
