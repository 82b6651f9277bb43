/**
 * A server of `bench/http.ts`, with the library on Deno from its sources and on Node as it is installed. Prints its port,
 * and ends with its standard input.
 *
 * @module
 */

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import process from "node:process";
import { httpSignOn } from "@winsock/secure-sockets/http";

const [kind] = process.argv.slice(2);
const signOn = await httpSignOn();

if (kind === "fetch") {
  const onListen = ({ port }: { port: number }): void => console.log(port);
  Deno.serve({ port: 0, hostname: "127.0.0.1", onListen }, signOn.fetch(() => new Response("hello\n")));
} else {
  const server = createServer(signOn.node((_request, response) => response.end("hello\n")));
  server.listen(0, "127.0.0.1", () => console.log((server.address() as AddressInfo).port));
}
process.stdin.on("end", () => process.exit()).resume();
