/** The rig itself: .NET's NegotiateStream on both ends of a connection in the throw-away realm. */

import { assert, assertEquals, assertMatch } from "@std/assert";
import { test } from "@test";
import { ensureDotnet, type PeerEvent, type RunningPeer } from "../rig/dotnet.ts";
import { realmUnavailable, startRealm } from "../rig/realm.ts";

const dotnet = await ensureDotnet({ install: false });
const skip = "reason" in dotnet ? dotnet.reason : realmUnavailable();

function start(args: string[], env: Record<string, string>): RunningPeer {
  assert("start" in dotnet);
  return dotnet.start(args, env);
}

/** What both ends saw of one connection. */
async function meet(serverArgs: string[], clientArgs: string[]): Promise<[PeerEvent[], PeerEvent[]]> {
  await using realm = await startRealm();
  await realm.kinit("alice");
  await using server = start(["server", ...serverArgs], realm.env);
  const { port } = await server.next();
  await using client = start(["client", "--port", String(port), ...clientArgs], realm.env);
  return [await server.rest(), await client.rest()];
}

test("two .NET peers authenticate each other in the realm, encrypt, and echo 1 byte to 1 MiB", async () => {
  const [server, client] = await meet([], ["--target", "HTTP/localhost", "--sizes", "1,65536,1048576"]);
  const secured = { isMutuallyAuthenticated: true, isEncrypted: true, isSigned: true };
  for (const [field, value] of Object.entries(secured)) {
    assertEquals([server[0][field], client[0][field]], [value, value]);
  }
  assertEquals(server[0].remoteName, "alice@MIT.TEST");
  assertEquals(client[0].remoteName, "HTTP/localhost");
  assertEquals(client.slice(1).map((event) => event.same), [true, true, true]);
  assertEquals(server[1], { event: "end", bytes: 1 + 65536 + 1048576 });
}, { skip });

test(
  "a .NET client that asks for an unknown service fails with that reason, and reports it to its server",
  async () => {
    const [server, client] = await meet([], ["--target", "HTTP/nowhere"]);
    const reasons = client[0].errors as { message: string }[];
    assertMatch(reasons[1].message, /HTTP\/nowhere@MIT\.TEST not found in Kerberos database/);
    const seen = server[0].errors as { message: string; nativeErrorCode?: number }[];
    assertMatch(seen[0].message, /failed on the remote side/);
    // What the client's HandshakeError carried: E_FAIL.
    assertEquals(seen[1].nativeErrorCode! >>> 0, 0x80004005);
  },
  { skip },
);

test("a .NET client with a user's name and password is that user to its server", async () => {
  const credentials = ["--user", "bob", "--password", "Bob1234!", "--domain", "MIT.TEST"];
  const [server] = await meet([], ["--target", "HTTP/localhost", ...credentials]);
  assertEquals(server[0].remoteName, "bob@MIT.TEST");
}, { skip });
