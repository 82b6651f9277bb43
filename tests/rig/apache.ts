/**
 * Apache with mod_auth_gssapi for tests: a web server on http and https, and a forward proxy, all of which sign users
 * on by Negotiate. Free ports of loopback, everything in a temporary folder.
 *
 * Folders of the web server: `/open` asks for nothing; `/per` judges each request; `/conn` remembers the connection;
 * `/sess` sets a cookie; `/deleg` keeps the credentials that the client delegated. Each has `hello.txt`, and a program
 * `echo`, which prints the user, the request and its body. `X-User` is the user of every answer, `X-Port` the client's
 * port.
 *
 * @module
 */

import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { mustRun } from "../../scripts/process.ts";
import { certificatesUnavailable, makeCertificate } from "./certificates.ts";
import { type Daemon, daemonFolder, findDaemon, mayChangeOwners, startDaemon } from "./daemon.ts";
import { freePort, type Realm } from "./realm.ts";

/** Debian packages with Apache and its Negotiate. */
export const APACHE_PACKAGES: readonly string[] = ["apache2", "libapache2-mod-auth-gssapi", "openssl"];
const MODULES = "/usr/lib/apache2/modules";
const FOLDERS = ["open", "per", "conn", "sess", "deleg"];
/** What `hello.txt` contains. */
export const HELLO = "hello\n";

/** A running Apache; `port` is that of http. */
export interface Apache extends Daemon {
  /** The port of https on 127.0.0.1; its certificate is for `localhost`. */
  readonly securePort: number;
  /** The port of the forward proxy, which answers 407 to whoever brings no token for `HTTP/localhost`. */
  readonly proxyPort: number;
  /** The certificate of https in PEM, which is its own authority. */
  readonly ca: string;
  /** One line a request: its server's port, its client's port, user, request line, status, scheme of Authorization. */
  log(): string;
}

/** Why Apache cannot run here, as a sentence that says what to do; null where it can. */
export function apacheUnavailable(): string | null {
  if (findDaemon("apache2") === null || !existsSync(join(MODULES, "mod_auth_gssapi.so"))) {
    return `a web server needs Apache: install ${APACHE_PACKAGES.join(" ")}`;
  }
  if (process.getuid?.() === 0 && !mayChangeOwners()) return "Apache refuses to serve as root";
  return certificatesUnavailable();
}

/** Starts Apache for `realm`, whose key table must hold `HTTP/localhost`. */
export async function startApache(realm: Realm): Promise<Apache> {
  const dir = daemonFolder("apache");
  chmodSync(dir, 0o755);
  const ports = { http: await freePort(), https: await freePort(), proxy: await freePort() };
  const { key, cert } = await makeCertificate();
  for (const folder of ["cgi", "deleg", ...FOLDERS.map((name) => `www/${name}`)]) {
    mkdirSync(join(dir, folder), { recursive: true });
  }
  for (const folder of FOLDERS) writeFileSync(join(dir, "www", folder, "hello.txt"), HELLO);
  writeFileSync(join(dir, "cgi", "echo"), ECHO, { mode: 0o755 });
  writeFileSync(join(dir, "key.pem"), key);
  writeFileSync(join(dir, "cert.pem"), cert);
  await realm.exportKeytab(join(dir, "keytab"), ["HTTP/localhost"]);
  copyFileSync(realm.env.KRB5_CONFIG, join(dir, "krb5.conf"));
  const account = process.getuid?.() === 0 ? await wwwData() : null;
  if (account !== null) {
    for (const name of ["keytab", "krb5.conf", "deleg"]) chownSync(join(dir, name), account.uid, account.gid);
  }
  writeFileSync(join(dir, "httpd.conf"), configuration(dir, ports, account !== null));
  const daemon = await startDaemon({
    dir,
    port: ports.http,
    command: [findDaemon("apache2")!, "-f", join(dir, "httpd.conf"), "-DFOREGROUND"],
    env: { ...realm.env, KRB5_CONFIG: join(dir, "krb5.conf") },
  });
  return {
    ...daemon,
    securePort: ports.https,
    proxyPort: ports.proxy,
    ca: cert,
    log: () => readFileSync(join(dir, "access.log"), "utf8"),
  };
}

async function wwwData(): Promise<{ uid: number; gid: number }> {
  const { stdout } = await mustRun("sh", ["-c", "getent passwd www-data"]);
  const [, , uid, gid] = stdout.trim().split(":");
  return { uid: Number(uid), gid: Number(gid) };
}

// It reads the body to its end first: Apache writes all of it before it reads.
const ECHO = `#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\nuser=%s method=%s type=%s cache=%s\\n' \\
  "$REMOTE_USER" "$REQUEST_METHOD" "$CONTENT_TYPE" "$KRB5CCNAME"
exec perl -0777 -pe ''
`;

const LOADED = [
  ...[
    "mpm_event",
    "unixd",
    "authn_core",
    "authz_core",
    "authz_user",
    "auth_gssapi",
    "session",
    "session_cookie",
  ],
  ...["cgi", "alias", "headers", "setenvif", "ssl", "http2", "proxy", "proxy_http", "proxy_connect"],
];

function configuration(
  dir: string,
  ports: { readonly http: number; readonly https: number; readonly proxy: number },
  changesAccount: boolean,
): string {
  const signOn = [
    "AuthType GSSAPI",
    'AuthName "secure-sockets"',
    `GssapiCredStore keytab:${dir}/keytab`,
    "GssapiAllowedMech krb5",
    "Require valid-user",
  ];
  const section = (name: string, argument: string, lines: readonly string[]): string[] => [
    `<${name} ${argument}>`,
    ...lines,
    `</${name}>`,
  ];
  return [
    `ServerRoot ${dir}`,
    "ServerName localhost",
    "PidFile httpd.pid",
    "DefaultRuntimeDir .",
    // Some of these are built in.
    ...LOADED.filter((name) => existsSync(`${MODULES}/mod_${name}.so`)).map((name) =>
      `LoadModule ${name}_module ${MODULES}/mod_${name}.so`
    ),
    ...(changesAccount ? ["User www-data", "Group www-data"] : []),
    ...["StartServers 1", "ServerLimit 1", "ThreadsPerChild 64", "MaxRequestWorkers 64"],
    ...["KeepAlive On", "MaxKeepAliveRequests 0", "ErrorLog error.log", "LogLevel warn"],
    'SetEnvIf Authorization "^([A-Za-z]+)" SCHEME=$1',
    'LogFormat "%{local}p %{remote}p %u \\"%r\\" %>s %{SCHEME}e" requests',
    "CustomLog access.log requests",
    ...Object.values(ports).map((port) => `Listen 127.0.0.1:${port}`),
    `DocumentRoot ${dir}/www`,
    ...section("Directory", dir, ["Require all granted"]),
    `ScriptAliasMatch "^/(${FOLDERS.join("|")})/echo$" ${dir}/cgi/echo`,
    'Header always set X-User "expr=%{REMOTE_USER}"',
    'Header always set X-Port "expr=%{REMOTE_PORT}"',
    'Header always set X-Protocol "expr=%{SERVER_PROTOCOL}"',
    // Each has all of its own: mod_auth_gssapi does not merge sections.
    ...section("Location", "/per", signOn),
    ...section("Location", "/conn", [...signOn, "GssapiConnectionBound On"]),
    ...section("Location", "/sess", [
      ...signOn,
      ...["GssapiUseSessions On", "Session On", "SessionCookieName gssapi_session path=/sess;httponly"],
    ]),
    ...section("Location", "/deleg", [
      ...signOn,
      ...[`GssapiDelegCcacheDir ${dir}/deleg`, "GssapiDelegCcacheUnique On"],
    ]),
    ...section("VirtualHost", `127.0.0.1:${ports.https}`, [
      ...["SSLEngine on", "SSLCertificateFile cert.pem", "SSLCertificateKeyFile key.pem"],
      "Protocols h2 http/1.1",
    ]),
    ...section("VirtualHost", `127.0.0.1:${ports.proxy}`, [
      "ProxyRequests On",
      `AllowCONNECT ${ports.http} ${ports.https}`,
      ...section("Proxy", '"*"', signOn),
    ]),
    "",
  ].join("\n");
}
