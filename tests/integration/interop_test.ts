/** Contexts between this library and other implementations of GSS-API: tokens and wrapped messages, both ways. */

import { Buffer } from "node:buffer";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { test } from "@test";
import { openAcceptor, openInitiator } from "../../contexts/open.ts";
import type { SecurityContext } from "../../contract.ts";
import { ProtocolError } from "../../errors.ts";
import type { System } from "../../mod.ts";
import { kerberos, negotiate } from "../../plugins/negotiate/mod.ts";
import { createRegistry } from "../../plugins/registry.ts";
import { findProgram, run } from "../../scripts/process.ts";
import type { Realm } from "../rig/realm.ts";
import { bytes, TARGET } from "../support/gss.ts";
import { noGssNtlm } from "./gss_ntlm.ts";
import { inRealm, noRealm } from "../support/kerberos.ts";
import { LinePeer } from "../support/line_peer.ts";
import { ROOT } from "../support/root.ts";

const FIXTURES = fileURLToPath(new URL("tests/integration/fixtures/gss_peers/", ROOT));
// Debian's packages are for Debian's Python, whichever is first in PATH.
const PYTHON = "/usr/bin/python3";
const HEIMDAL = "libgssapi.so.3";
const REGISTRIES = { kerberos: createRegistry([kerberos()]), spnego: createRegistry([negotiate()]) };
type Mechanism = keyof typeof REGISTRIES;
const PLAIN = bytes("attack at dawn, and bring spades");

interface Peer {
  readonly skip: string | null;
  readonly start: (realm: Realm) => LinePeer | Promise<LinePeer>;
  /** True where it can neither accept nor sign without encrypting. */
  readonly limited?: true;
}

/** Why a Python program cannot do something here; `null` where it can. */
async function pythonLacks(statement: string, reason: string): Promise<string | null> {
  if (!existsSync(PYTHON)) return `Debian's Python is needed: install python3. ${reason}`;
  const { code } = await run(PYTHON, ["-c", statement]);
  return code === 0 ? null : reason;
}

const PEERS: Readonly<Record<string, Peer>> = {
  "python3-gssapi": {
    skip: await pythonLacks("import gssapi", "python3-gssapi is needed: install it"),
    start: () => new LinePeer(PYTHON, [`${FIXTURES}python_gssapi.py`]),
  },
  "Heimdal": {
    skip: await pythonLacks(
      `import ctypes; ctypes.CDLL("${HEIMDAL}").gss_wrap`,
      "Heimdal's GSS-API is needed: install libgssapi3-heimdal",
    ),
    start: () => new LinePeer(PYTHON, [`${FIXTURES}c_library.py`, HEIMDAL]),
  },
  "Java JGSS": {
    skip: findProgram("javac") ? null : "a Java development kit is needed: install openjdk-17-jdk-headless",
    start: startJava,
  },
  "impacket": {
    skip: await pythonLacks("import impacket, pyasn1", "impacket is needed: install python3-impacket"),
    start: async (realm) => {
      // It finds no KDC on a port of its own: it is given the service's ticket.
      const cache = await realm.kinit("alice", { cache: `FILE:${realm.dir}/impacket`, service: TARGET });
      return new LinePeer(PYTHON, [
        "-W",
        "ignore",
        `${FIXTURES}impacket_peer.py`,
        cache.replace("FILE:", ""),
      ]);
    },
    limited: true,
  },
};

function startJava(realm: Realm): LinePeer {
  const [cache, keytab] = [realm.env.KRB5CCNAME, realm.env.KRB5_KTNAME].map((name) =>
    name.replace("FILE:", "")
  );
  const login = join(realm.dir, "jaas.conf");
  const module = "com.sun.security.auth.module.Krb5LoginModule required doNotPrompt=true";
  writeFileSync(
    login,
    `com.sun.security.jgss.initiate { ${module} useTicketCache=true ticketCache="${cache}"; };
com.sun.security.jgss.accept {
  ${module} useKeyTab=true keyTab="${keytab}" storeKey=true isInitiator=false principal="${TARGET}@${realm.realm}";
};
`,
  );
  const properties = {
    "java.security.krb5.conf": realm.env.KRB5_CONFIG,
    "java.security.auth.login.config": login,
    "javax.security.auth.useSubjectCredsOnly": "false",
    "sun.security.krb5.rcache": "none",
  };
  const flags = Object.entries(properties).map(([name, value]) => `-D${name}=${value}`);
  return new LinePeer(findProgram("java")!, [
    "-XX:TieredStopAtLevel=1",
    "-XX:-UsePerfData",
    ...flags,
    `${FIXTURES}JgssPeer.java`,
  ]);
}

const hex = (data: Uint8Array | null): string =>
  data === null || data.length === 0 ? "-" : Buffer.from(data).toString("hex");
const unhex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text === "-" ? "" : text, "hex"));

async function ask(peer: LinePeer, line: string): Promise<string> {
  const answer = await peer.say(line);
  if (answer.startsWith("error")) throw new Error(`${line.slice(0, 40)}: ${answer}`);
  return answer;
}

/** Exchanges tokens until both are done. */
async function exchange(peer: LinePeer, ours: SecurityContext, weInitiate: boolean): Promise<void> {
  let peerDone = false;
  let token: Uint8Array | null = weInitiate ? (await ours.step()).token : null;
  for (let leg = 0; leg < 8 && !(ours.done && peerDone); leg++) {
    const [answer, done] = (await ask(peer, `step ${hex(token)}`)).split(" ");
    peerDone = done === "1";
    token = answer === "-" ? null : (await ours.step(unhex(answer))).token;
    if (token === null && peerDone) break;
  }
  assertEquals([ours.done, peerDone], [true, true]);
}

/** Messages both ways, encrypted and only signed; a changed one is refused by both. */
async function messages(peer: LinePeer, ours: SecurityContext, limited = false): Promise<void> {
  for (const plain of [PLAIN, new Uint8Array(0), new Uint8Array(70_000).fill(7)]) {
    for (const encrypt of limited ? [true] : [true, false]) {
      const flag = encrypt ? "1" : "0";
      assertEquals(await ask(peer, `unwrap ${hex(ours.wrap(plain, { encrypt }))}`), `${hex(plain)} ${flag}`);
      const [wrapped, encrypted] = (await ask(peer, `wrap ${flag} ${hex(plain)}`)).split(" ");
      assertEquals(encrypted, flag);
      assertEquals(ours.unwrap(unhex(wrapped), { allowUnencrypted: !encrypt }), {
        data: plain,
        encrypted: encrypt,
      });
    }
  }
  if (!limited) {
    const clear = unhex((await ask(peer, `wrap 0 ${hex(PLAIN)}`)).split(" ")[0]);
    const error = assertThrows(() => ours.unwrap(clear), ProtocolError);
    assertEquals(error.reason, "not-encrypted");
  }
  const changed = ours.wrap(PLAIN);
  changed[changed.length - 1] ^= 1;
  assertStringIncludes(await peer.say(`unwrap ${hex(changed)}`), "error");
  const theirs = unhex((await ask(peer, `wrap 1 ${hex(PLAIN)}`)).split(" ")[0]);
  theirs[theirs.length - 1] ^= 1;
  assertEquals(assertThrows(() => ours.unwrap(theirs), ProtocolError).reason, "altered");
}

async function withOurs(
  system: System,
  mechanism: Mechanism,
  weInitiate: boolean,
  body: (context: SecurityContext) => Promise<void>,
): Promise<void> {
  const requirements = { confidentiality: true };
  const registry = REGISTRIES[mechanism];
  if (weInitiate) {
    using initiator = await openInitiator({ system, registry, requirements });
    using context = initiator.initiate({ target: TARGET });
    await body(context);
  } else {
    using acceptor = await openAcceptor({ system, registry, requirements, acceptedTargets: [TARGET] });
    using context = acceptor.accept();
    await body(context);
  }
}

const matrix: string[][] = [["peer", "kerberos ->", "kerberos <-", "spnego ->", "spnego <-"]];

for (const [name, { skip, start, limited }] of Object.entries(PEERS)) {
  const row = [name];
  matrix.push(row);
  for (const mechanism of ["kerberos", "spnego"] as const) {
    for (const weInitiate of [true, false]) {
      if (weInitiate && limited) {
        row.push("no acceptor");
        continue;
      }
      const column = row.push(noRealm ?? skip ? "skipped" : "not run") - 1;
      test(
        `${name} ${weInitiate ? "accepts" : "initiates"}, by ${mechanism}: tokens and messages both ways`,
        () =>
          inRealm(async (realm, system) => {
            row[column] = "FAILED";
            const peer = await start(realm);
            try {
              await withOurs(system, mechanism, weInitiate, async (ours) => {
                await ask(peer, weInitiate ? "accept" : `initiate ${mechanism}`);
                await exchange(peer, ours, weInitiate);
                const alice = weInitiate ? await ask(peer, "peer") : ours.peer?.name;
                assertEquals([alice, ours.security.mechanism], [`alice@${realm.realm}`, "kerberos"]);
                assert(ours.security.confidentiality && ours.security.mutualAuthentication === true);
                await messages(peer, ours, limited);
              });
              row[column] = "ok";
            } finally {
              await peer.close();
            }
          }),
        { skip: noRealm ?? skip },
      );
    }
  }
}

test(
  "python3-gssapi proposes another mechanism first: SPNEGO ends with signatures, and records follow them",
  () =>
    inRealm(async (realm, system) => {
      const users = join(realm.dir, "ntlm-users");
      writeFileSync(users, "MIT:alice:a password\n");
      process.env.NTLM_USER_FILE = users;
      const peer = await PEERS["python3-gssapi"].start(realm);
      delete process.env.NTLM_USER_FILE;
      try {
        await withOurs(system, "spnego", false, async (ours) => {
          // NTLM, which an acceptor that authenticates itself does not take.
          await ask(peer, "propose 1.3.6.1.4.1.311.2.2.10");
          const [first] = (await ask(peer, "step -")).split(" ");
          const answers = [await ours.step(unhex(first))];
          while (!ours.done) {
            const [next] = (await ask(peer, `step ${hex(answers[answers.length - 1].token)}`)).split(" ");
            answers.push(await ours.step(unhex(next)));
          }
          const last = answers[answers.length - 1].token;
          if (last !== null) await ask(peer, `step ${hex(last)}`);
          assert(answers.length > 1, "the exchange had no further leg for signatures");
          await messages(peer, ours);
        });
      } finally {
        await peer.close();
      }
    }),
  { skip: noRealm ?? PEERS["python3-gssapi"].skip ?? noGssNtlm },
);

test("the matrix of other implementations: -> this library initiates, <- it accepts", () => {
  const widths = matrix[0].map((_, column) => Math.max(...matrix.map((row) => row[column].length)));
  for (const row of matrix) console.log(row.map((cell, column) => cell.padEnd(widths[column])).join("  "));
  assert(matrix.every((row) => row.length === 5 && !row.includes("FAILED")));
});
