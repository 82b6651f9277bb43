/**
 * A server of `bench/http.ts`, on Node: Express with npm `kerberos`, as its documentation shows it. Prints its port, and
 * ends with its standard input.
 *
 * @module
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo, Server as NetServer } from "node:net";
import process from "node:process";

interface Server {
  step(challenge: string): Promise<unknown>;
  response: string;
  username: string;
}

interface Kerberos {
  initializeServer(service: string): Promise<Server>;
}

interface Application {
  get(path: string, handler: (request: IncomingMessage, response: ServerResponse) => unknown): void;
  listen(port: number, host: string, listening: () => void): NetServer;
}

// NODE_PATH, which only require() looks at, says where they were installed.
const require = createRequire(import.meta.url);
const kerberos = require("kerberos") as Kerberos;
const app = (require("express") as () => Application)();

app.get("/", async (request, response) => {
  const token = /^Negotiate (.+)$/.exec(request.headers.authorization ?? "")?.[1];
  if (token === undefined) return response.writeHead(401, { "www-authenticate": "Negotiate" }).end();
  const server = await kerberos.initializeServer("HTTP@localhost");
  await server.step(token);
  if (server.username === "") throw new Error("the client has no name");
  response.setHeader("www-authenticate", `Negotiate ${server.response}`);
  response.end("hello\n");
});
const listening = app.listen(0, "127.0.0.1", () => console.log((listening.address() as AddressInfo).port));
process.stdin.on("end", () => process.exit()).resume();
