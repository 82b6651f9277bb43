/**
 * Greets the members of one group, and refuses all other clients.
 *
 * ```sh
 * deno run --allow-net --allow-ffi examples/authorising_server.ts S-1-5-21-1-2-3-1604 HTTP/files.example.test 7777
 * ```
 *
 * The group is given by its SID, which stays the same when the group is renamed. Groups are in the tickets of Active
 * Directory, and on Windows in access tokens.
 *
 * @module
 */

import process from "node:process";
import { isMember, listen, openSystem, type SecureConn } from "@winsock/secure-sockets";

const [group, name = "host/localhost", port = "7777"] = process.argv.slice(2);
if (group === undefined) {
  console.error("Usage: examples/authorising_server.ts SID [NAME [PORT]]");
  process.exit(2);
}

// On Windows the groups are in the client's access token, which needs a separate grant.
const system = openSystem({ grants: process.platform === "win32" ? ["sspi", "impersonation"] : ["sspi"] });
const listener = await listen({ port: Number(port), acceptedTargets: [name], system });
console.log(`${name} listens on port ${listener.addr.port}`);
for await (const conn of listener) serve(conn).catch((error) => console.error(error.message));

async function serve(conn: SecureConn): Promise<void> {
  try {
    // Throws where the groups are not known; the client is then refused too.
    const greeting = isMember(conn.peer, group)
      ? `Welcome, ${conn.peer?.displayName ?? conn.peer?.user}`
      : "No";
    console.log(`${conn.peer?.name}: ${greeting}`);
    await conn.write(new TextEncoder().encode(greeting));
  } finally {
    await conn.close();
  }
}
