/**
 * Sends a text to the server of `echo_server.ts`, as the user who runs this program, and prints the answer.
 *
 * ```sh
 * deno run --allow-net --allow-ffi examples/echo_client.ts files.example.test 7777 hello HTTP/files.example.test
 * ```
 *
 * Without the last argument the server's name is `host/` and the host.
 *
 * @module
 */

import process from "node:process";
import { connect } from "@winsock/secure-sockets";

const [hostname = "localhost", port = "7777", text = "hello", target] = process.argv.slice(2);

// Throws unless both ends are authenticated and the connection is encrypted.
const conn = await connect({ hostname, port: Number(port), target });
await conn.write(new TextEncoder().encode(text));
await conn.closeWrite();

console.log(
  `${conn.security.peer} answers, ${conn.security.confidentiality ? "encrypted" : "readable by anyone"}:`,
);
for await (const chunk of conn.readable) console.log(new TextDecoder().decode(chunk));
await conn.close();
