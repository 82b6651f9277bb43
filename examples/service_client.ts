/**
 * Finds the service of `service_server.ts` in the directory by its product's GUID, connects to it, and proves that it is
 * the one.
 *
 * ```sh
 * deno run --allow-net --allow-ffi --allow-env examples/service_client.ts example.test hello
 * ```
 *
 * @module
 */

import process from "node:process";
import { connectService } from "@winsock/secure-sockets/directory";
import { directoryOptions, PRODUCT, SERVICE_CLASS } from "./service_install.ts";

const [domain, text = "hello"] = process.argv.slice(2);

const conn = await connectService({
  service: { serviceClass: SERVICE_CLASS, keywords: PRODUCT },
  directory: directoryOptions(domain),
  onAttempt: ({ point, target, hostname, port }) =>
    console.log(`${point.dn}: ${hostname}:${port}, ${target}`),
}); // Throws unless the server proves the SPN of the class that this client knows.
await conn.write(new TextEncoder().encode(text));
await conn.closeWrite();
console.log(
  `mutual authentication: ${conn.security.mutualAuthentication}, encrypted: ${conn.security.confidentiality}`,
);
console.log(await new Response(conn.readable).text());
await conn.close();
