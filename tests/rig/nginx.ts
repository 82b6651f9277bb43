/**
 * nginx as a reverse proxy for tests: one connection to the server behind it serves the requests of all clients.
 *
 * @module
 */

import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { type Daemon, daemonFolder, findDaemon, startDaemon } from "./daemon.ts";
import { freePort } from "./realm.ts";

/** Debian packages with nginx. */
export const NGINX_PACKAGES: readonly string[] = ["nginx-light"];

/** Why nginx cannot run here, as a sentence that says what to do; null where it can. */
export function nginxUnavailable(): string | null {
  return findDaemon("nginx") === null
    ? `a reverse proxy needs nginx: install ${NGINX_PACKAGES.join(" ")}`
    : null;
}

/** How nginx passes requests on. */
export interface NginxOptions {
  /** The port of the server behind it, on 127.0.0.1. */
  readonly upstream: number;
  /** Whether it adds `X-Forwarded-For`, which it does not do by itself. */
  readonly announces: boolean;
}

/** Starts nginx. */
export async function startNginx({ upstream, announces }: NginxOptions): Promise<Daemon> {
  const dir = daemonFolder("nginx");
  const port = await freePort();
  mkdirSync(join(dir, "logs"));
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((name) =>
    `${name}_temp_path ${dir};`
  );
  const configuration = [
    ...(process.getuid?.() === 0 ? ["user root;"] : []),
    ...["daemon off;", "worker_processes 1;", `pid ${dir}/pid;`, `error_log ${dir}/error.log;`, "events {}"],
    "http {",
    ...["access_log off;", ...temporary],
    `upstream app { server 127.0.0.1:${upstream}; keepalive 1; }`,
    `server { listen 127.0.0.1:${port}; location / {`,
    ...["proxy_pass http://app;", "proxy_http_version 1.1;", 'proxy_set_header Connection "";'],
    "proxy_set_header Host $http_host;",
    ...(announces ? ["proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;"] : []),
    "} } }",
  ];
  writeFileSync(join(dir, "nginx.conf"), configuration.join("\n"));
  const command = [
    findDaemon("nginx")!,
    "-p",
    dir,
    "-e",
    join(dir, "error.log"),
    "-c",
    join(dir, "nginx.conf"),
  ];
  return await startDaemon({ dir, port, command, env: {} });
}
