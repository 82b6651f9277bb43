/**
 * Sends back what an authenticated client sends.
 *
 * ```sh
 * deno run --allow-net --allow-ffi examples/echo_server.ts host/files.example.test 7777
 * ```
 *
 * The server's key must be in the machine's key table (Linux), or the server must run as the account for which
 * the name is registered (Windows).
 *
 * @module
 */

import process from "node:process";
import { listen } from "@winsock/secure-sockets";

const [name = "host/localhost", port = "7777"] = process.argv.slice(2);

const listener = await listen({ port: Number(port), acceptedTargets: [name] });
console.log(`${name} listens on port ${listener.addr.port}`);
for await (const conn of listener) {
  console.log(`${conn.security.peer} is connected`);
  conn.readable.pipeTo(conn.writable).catch((error) =>
    console.error(`${conn.security.peer}: ${error.message}`)
  );
}
