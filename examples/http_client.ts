/**
 * Gets a page of the intranet as the user who runs it, and prints who the server proved to be.
 *
 * ```sh
 * kinit alice@EXAMPLE.TEST
 * deno run --allow-net --allow-ffi --allow-env examples/http_client.ts https://intranet.example.test/api/me
 * ```
 *
 * @module
 */

import process from "node:process";
import { negotiateFetch } from "@winsock/secure-sockets/http";

const [url] = process.argv.slice(2);
if (url === undefined) {
  console.error("Usage: examples/http_client.ts URL");
  process.exit(2);
}
// Only this server is given a token, wherever it redirects to.
await using intranet = negotiateFetch({ origins: [new URL(url).origin] });
const response = await intranet(url);
const security = intranet.security(response);
if (security === null) {
  console.log(`${response.status}: the server did not ask for sign-on, or refused it`);
} else {
  console.log(`${response.status} of ${security.peer} (${security.mechanism})`);
  console.log(`channel bindings: ${security.channelBindings}`);
}
console.log(await response.text());
