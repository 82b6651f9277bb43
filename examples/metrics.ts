/**
 * An echo server that counts its handshakes and connections, and serves the counts at /metrics in the text format
 * of Prometheus.
 *
 * ```sh
 * deno run --allow-net --allow-ffi examples/metrics.ts 7777 9464
 * ```
 *
 * @module
 */

import { subscribe } from "node:diagnostics_channel";
import { createServer } from "node:http";
import process from "node:process";
import { type DiagnosticMessages, listen } from "@winsock/secure-sockets";

const counters = new Map<string, number>();

function add(name: string, labels: Record<string, string>, amount = 1): void {
  const list = Object.entries(labels).map(([key, value]) => `${key}=${JSON.stringify(value)}`);
  const series = list.length > 0 ? `${name}{${list.join()}}` : name;
  counters.set(series, (counters.get(series) ?? 0) + amount);
}

function on<Name extends keyof DiagnosticMessages>(
  name: Name,
  listener: (message: DiagnosticMessages[Name]) => void,
): void {
  subscribe(name, (message) => listener(message as DiagnosticMessages[Name]));
}

on("secure-sockets.handshake.end", ({ role, provider, durationMs }) => {
  add("secure_sockets_handshakes_total", { role, provider, error_type: "" });
  add("secure_sockets_handshake_seconds_sum", { role, provider }, durationMs / 1000);
});
on("secure-sockets.handshake.error", ({ role, provider = "", error }) => {
  add("secure_sockets_handshakes_total", { role, provider, error_type: error.reason ?? error.name });
});
on("secure-sockets.listener.refused", ({ error }) => {
  add("secure_sockets_refused_total", { error_type: error.reason ?? error.name });
});
on("secure-sockets.connection.close", ({ bytesRead, bytesWritten }) => {
  add("secure_sockets_io_bytes_total", { direction: "receive" }, bytesRead);
  add("secure_sockets_io_bytes_total", { direction: "transmit" }, bytesWritten);
});

const [port = "7777", metricsPort = "9464"] = process.argv.slice(2);

const metrics = createServer((_, response) => {
  const lines = Array.from(counters, ([series, value]) => `${series} ${value}\n`);
  response.setHeader("content-type", "text/plain; version=0.0.4").end(lines.sort().join(""));
});
metrics.listen(Number(metricsPort), "127.0.0.1");

await using listener = await listen({
  hostname: "127.0.0.1",
  port: Number(port),
  onHandshakeError: () => {},
});
console.log(`listening on port ${listener.addr.port}, metrics on http://127.0.0.1:${metricsPort}/metrics`);
for await (const conn of listener) {
  conn.readable.pipeTo(conn.writable).catch(() => {}).finally(() => conn.close());
}
