/**
 * Dovecot for tests: IMAP and mail submission on free ports of loopback, everything in a temporary folder.
 *
 * @module
 */

import { once } from "node:events";
import { chmodSync, chownSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Daemon, daemonFolder, findDaemon, mayChangeOwners, startDaemon } from "./daemon.ts";
import { freePort, type Realm } from "./realm.ts";

/** Debian packages with Dovecot and its GSSAPI. */
export const DOVECOT_PACKAGES: readonly string[] = ["dovecot-imapd", "dovecot-gssapi", "dovecot-submissiond"];
/** The account nobody, which is the same everywhere. */
const NOBODY = 65534;
const FILES = [
  "/usr/lib/dovecot/imap",
  "/usr/lib/dovecot/submission",
  "/usr/lib/dovecot/modules/auth/libmech_gssapi.so",
];

/** A running Dovecot; `port` is IMAP's. */
export interface Dovecot extends Daemon {
  /** Mail submission's port on 127.0.0.1. */
  readonly submissionPort: number;
  /** The messages that were submitted, as the mail server behind Dovecot got them. */
  readonly submitted: readonly string[];
}

/** Why Dovecot cannot run here, as a sentence that says what to do; null where it can. */
export function dovecotUnavailable(): string | null {
  if (findDaemon("dovecot") === null || !FILES.every(existsSync)) {
    return `mail servers need Dovecot: install ${DOVECOT_PACKAGES.join(" ")}`;
  }
  if (!mayChangeOwners()) return "Dovecot needs to run as several accounts: run the tests as root";
  return null;
}

/** Starts Dovecot for `realm`, whose key table must hold `imap/localhost` and `smtp/localhost`. */
export async function startDovecot(realm: Realm): Promise<Dovecot> {
  const dir = daemonFolder("dovecot");
  const [port, submissionPort] = [await freePort(), await freePort()];
  // Dovecot serves mail as no other account than the user's, and never as root.
  mkdirSync(join(dir, "mail"));
  chownSync(join(dir, "mail"), NOBODY, NOBODY);
  chmodSync(dir, 0o755);
  const relay = await startRelay();
  writeFileSync(join(dir, "dovecot.conf"), configuration(dir, realm, port, submissionPort, relay.port));
  const command = [findDaemon("dovecot")!, "-F", "-c", join(dir, "dovecot.conf")];
  const daemon = await startDaemon({ dir, port, command, env: realm.env });
  return {
    ...daemon,
    submissionPort,
    submitted: relay.submitted,
    async [Symbol.asyncDispose](): Promise<void> {
      await daemon[Symbol.asyncDispose]();
      await relay.close();
    },
  };
}

/** The mail server that Dovecot hands messages on to. Without one it ends each session with 421. */
async function startRelay(): Promise<{ port: number; submitted: string[]; close(): Promise<void> }> {
  const submitted: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer(async (socket) => {
    sockets.add(socket.on("close", () => sockets.delete(socket)).on("error", () => {}));
    socket.write("220 relay.test ESMTP\r\n");
    let message: string[] | null = null;
    for await (const line of createInterface({ input: socket })) {
      if (message === null) {
        if (/^data/i.test(line)) message = [];
        socket.write(message ? "354 go on\r\n" : /^quit/i.test(line) ? "221 bye\r\n" : "250 done\r\n");
      } else if (line !== ".") message.push(line);
      else {
        submitted.push(message.join("\n"));
        message = null;
        socket.write("250 done\r\n");
      }
    }
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    submitted,
    async close(): Promise<void> {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

function configuration(dir: string, { env }: Realm, imap: number, submission: number, relay: number): string {
  const listener = (service: string, lines: string): string => `service ${service} {\n${lines}\n}`;
  const inet = (name: string, port: number): string => `  inet_listener ${name} {\n    port = ${port}\n  }`;
  return [
    `base_dir = ${dir}/run`,
    `state_dir = ${dir}/state`,
    `log_path = ${dir}/log`,
    "protocols = imap submission",
    "listen = 127.0.0.1",
    "ssl = no",
    "auth_mechanisms = gssapi",
    "auth_username_format = %n",
    `auth_krb5_keytab = ${env.KRB5_KTNAME.replace("FILE:", "")}`,
    'auth_gssapi_hostname = "$ALL"',
    `import_environment = KRB5_CONFIG=${env.KRB5_CONFIG}`,
    "submission_relay_host = 127.0.0.1",
    `submission_relay_port = ${relay}`,
    `mail_location = maildir:${dir}/mail/%n`,
    "first_valid_uid = 1",
    "first_valid_gid = 1",
    // Its files are its owner's alone.
    listener("auth", "  user = root"),
    listener("imap-login", `${inet("imap", imap)}\n${inet("imaps", 0)}`),
    listener("submission-login", inet("submission", submission)),
    `userdb {\n  driver = static\n  args = uid=${NOBODY} gid=${NOBODY} home=${dir}/mail/%n allow_all_users=yes\n}`,
    "passdb {\n  driver = static\n  args = nopassword=y\n}",
    "",
  ].join("\n");
}
