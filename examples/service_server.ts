/**
 * The service that `service_install.ts` installs. It verifies its registration when it starts, and answers clients that
 * have proved who they are.
 *
 * ```sh
 * deno run --allow-net --allow-ffi --allow-env examples/service_server.ts example.test 'WEB1$' GUID web1.example.test 7777
 * ```
 *
 * @module
 */

import process from "node:process";
import { listenService } from "@winsock/secure-sockets/directory";
import { directoryOptions, SERVICE_CLASS } from "./service_install.ts";

const [domain, account, guid, dnsName, port = "7777"] = process.argv.slice(2);

const listener = await listenService({
  service: { serviceClass: SERVICE_CLASS, dnsName, account, guid },
  directory: directoryOptions(domain),
  port: Number(port),
}); // Throws with the command to run where the SPN or the connection point is not right.
console.log(`${SERVICE_CLASS} listens on port ${listener.addr.port}`);
for await (const conn of listener) {
  const text = await new Response(conn.readable).text();
  await conn.write(new TextEncoder().encode(`${conn.security.peer} says ${text}`));
  await conn.close();
}
