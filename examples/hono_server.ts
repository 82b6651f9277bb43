/**
 * Hono with Kerberos sign-on, and pages of another origin that may call it.
 *
 * ```sh
 * KRB5_KTNAME=FILE:/etc/web.keytab deno run --allow-net --allow-ffi --allow-env examples/hono_server.ts 8080 https://app.example.test
 * ```
 *
 * @module
 */

import process from "node:process";
import { Hono } from "hono";
import { type HttpIdentity, httpSignOn } from "@winsock/secure-sockets/http";

const [port = "8080", ...allowedOrigins] = process.argv.slice(2);
const signOn = await httpSignOn({
  allowedOrigins,
  onRefused: ({ reason, error }) => console.error(`refused: ${reason}`, error ?? ""),
});

const app = new Hono<{ Variables: { identity: HttpIdentity } }>();
app.get("/health", (context) => context.text("ok"));
app.use("/app/*", signOn.hono());
app.get("/app/me", (context) => context.json({ name: context.get("identity").name }));

Deno.serve({
  port: Number(port),
  onListen: ({ port }) => console.log(`http://localhost:${port}/app/me`),
}, app.fetch);
