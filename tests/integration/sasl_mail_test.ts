/** SASL GSSAPI against Dovecot: IMAP by hand, and mail submission with npm's nodemailer unchanged. */

import { assert, assertEquals, assertMatch, assertRejects, assertStringIncludes } from "@std/assert";
import { test } from "@test";
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { connect } from "node:net";
import { createInterface } from "node:readline";
import { transport } from "../../examples/smtp_sasl.ts";
import { saslClient } from "../../sasl/mod.ts";
import { type Dovecot, dovecotUnavailable, startDovecot } from "../rig/dovecot.ts";
import type { System } from "../../mod.ts";
import { noExamples, runExample } from "../support/example.ts";
import { inRealm, noRealm } from "../support/kerberos.ts";

const skip = noRealm ?? dovecotUnavailable();

const withDovecot = (body: (dovecot: Dovecot, system: System) => Promise<void>) => () =>
  inRealm(async (realm, system) => {
    await realm.addPrincipal("imap/localhost");
    await realm.addPrincipal("smtp/localhost");
    await using dovecot = await startDovecot(realm);
    assertEquals(system.capabilities().securityContexts.available, true);
    await body(dovecot, system);
  });

test(
  "saslClient(): Dovecot's IMAP authenticates by GSSAPI without a layer",
  withDovecot(async (dovecot, system) => {
    const socket = connect(dovecot.port, "127.0.0.1");
    await once(socket, "connect");
    const lines = createInterface({ input: socket })[Symbol.asyncIterator]();
    const line = async (): Promise<string> => (await lines.next()).value ?? "";
    const say = (bytes: Uint8Array) => socket.write(`${Buffer.from(bytes).toString("base64")}\r\n`);
    assertStringIncludes(await line(), "AUTH=GSSAPI");
    using sasl = await saslClient({
      mechanism: "GSSAPI",
      target: "imap/localhost",
      layers: ["none"],
      system,
    });
    socket.write("a1 AUTHENTICATE GSSAPI\r\n");
    assertEquals((await line()).trim(), "+");
    say(await sasl.start());
    let answer = await line();
    for (; answer.startsWith("+"); answer = await line()) {
      say(await sasl.next(Buffer.from(answer.slice(2), "base64")));
    }
    assertStringIncludes(answer, "a1 OK");
    await sasl.finish();
    assertEquals([sasl.layer, sasl.maxSend, sasl.protect(socket) === socket], ["none", 0, true]);
    socket.write('a2 LIST "" *\r\n');
    assertStringIncludes(await line(), "INBOX");
    socket.destroy();
  }),
  { skip },
);

test(
  "saslClient(): Dovecot offers no layer, and a client that wants one ends the exchange",
  withDovecot(async (dovecot, system) => {
    const smtp = transport("localhost", dovecot.submissionPort, { target: "smtp/localhost", system }, {
      ignoreTLS: true,
    });
    const error = await assertRejects(() => smtp.verify(), Error, "accepts confidentiality");
    assert(error.message.includes("offers the security layers none"), error.message);
    smtp.close();
  }),
  { skip },
);

test(
  "saslClient(): nodemailer authenticates at Dovecot's submission by GSSAPI",
  withDovecot(async (dovecot, system) => {
    const port = dovecot.submissionPort;
    const options = { target: "smtp/localhost", layers: ["none"], system } as const;
    const smtp = transport("localhost", port, options, { ignoreTLS: true });
    assertEquals(await smtp.verify(), true);
    const text = "Sealed envelopes, opened by nobody.";
    await smtp.sendMail({ from: "alice@mit.test", to: "bob@mit.test", subject: "Greetings", text });
    assertEquals(dovecot.submitted.length, 1);
    assertMatch(dovecot.submitted[0], /^Subject: Greetings\n[^]*Sealed envelopes, opened by nobody\.$/m);
    smtp.close();
    const wrong = transport("localhost", port, { ...options, target: "smtp/elsewhere.mit.test" }, {
      ignoreTLS: true,
    });
    await assertRejects(() => wrong.verify(), Error);
    wrong.close();
  }),
  { skip },
);

test(
  "examples/smtp_sasl.ts authenticates at Dovecot's submission",
  withDovecot(async (dovecot) => {
    const args = ["--without-tls", "localhost", `${dovecot.submissionPort}`];
    const { code, stdout, stderr } = await runExample("smtp_sasl", args);
    assertEquals([code, stdout, stderr], [0, "Authenticated: true\n", ""]);
  }),
  { skip: skip ?? noExamples },
);
