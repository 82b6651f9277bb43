/**
 * Express with Kerberos sign-on in front of one part of the site.
 *
 * ```sh
 * KRB5_KTNAME=FILE:/etc/web.keytab deno run --allow-net --allow-ffi --allow-env --allow-read --allow-sys examples/express_server.ts 8080
 * ```
 *
 * @module
 */

import type { IncomingMessage, ServerResponse } from "node:http";
import process from "node:process";
import express from "express";
import { httpSignOn } from "@winsock/secure-sockets/http";

const [port = "8080"] = process.argv.slice(2);
const signOn = await httpSignOn({
  onRefused: ({ reason, error }) => console.error(`refused: ${reason}`, error ?? ""),
});

const app = express();
app.get("/health", (_request: IncomingMessage, response: ServerResponse) => response.end("ok"));

app.use("/app", signOn.node());
app.get("/app/me", (request: IncomingMessage, response: ServerResponse) => {
  const { name, groups } = signOn.identityOf(request);
  response.setHeader("content-type", "application/json");
  response.end(JSON.stringify({ name, groups: groups?.length }));
});

const server = app.listen(Number(port), () => {
  console.log(`http://localhost:${server.address().port}/app/me`);
});
