/** Servers that break PostgreSQL's protocol, or claim too much: each is refused before anything is sent to it. */

import { Buffer } from "node:buffer";
import { assert, assertEquals, assertRejects } from "@std/assert";
import { test } from "@test";
import { openAcceptor } from "../../contexts/open.ts";
import type { SecurityContext } from "../../contract.ts";
import type { System } from "../../mod.ts";
import { kerberos } from "../../plugins/negotiate/mod.ts";
import { createRegistry } from "../../plugins/registry.ts";
import { postgresStream, securityOf } from "../../postgres/mod.ts";
import { SecurityRequirementError } from "../../errors.ts";
import type { Realm } from "../rig/realm.ts";
import { inRealm, noRealm } from "../support/kerberos.ts";
import { toyProvider, toySystem } from "../support/toy_provider.ts";
import { bytesOf, clientOf, message, type Visitor, writtenServer } from "../support/postgres.ts";

const skip = noRealm;
const AUTHENTICATED = message("R", 0);
const GSS = message("R", 7);
const READY = bytesOf(AUTHENTICATED, message("Z", "I"));

/** Reads one message that a client sends: its startup message has no type. */
async function sent({ incoming }: Visitor, typed = true): Promise<Buffer> {
  if (typed) await incoming.must(1, "a type");
  const header = await incoming.must(4, "a length");
  return await incoming.must(header.readUInt32BE(0) - 4, "a message");
}

/** Reads the request for encryption. */
async function asked({ incoming }: Visitor): Promise<void> {
  assertEquals(bytesOf(await incoming.must(8, "the request")), bytesOf(8, 80877103 + 1));
}

async function token({ incoming }: Visitor): Promise<Buffer> {
  return await incoming.must((await incoming.must(4, "a length")).readUInt32BE(0), "a token");
}

/** A server that knows a key of the realm. */
async function inService(
  body: (accept: () => SecurityContext, realm: Realm, system: System) => Promise<void>,
): Promise<void> {
  await inRealm(async (realm, system) => {
    // It accepts clients that ask for encryption and such that do not.
    using acceptor = await openAcceptor({ system, registry: createRegistry([kerberos()]) });
    await body(() => acceptor.accept(), realm, system);
  });
}

/** Connects to a server as a test writes it, and returns the error and what was sent after it had misbehaved. */
async function against(
  system: System,
  encryption: "require" | "prefer" | "disable",
  serve: (visitor: Visitor) => Promise<void>,
): Promise<{ name: string; reason?: string; message: string; rest: Buffer }> {
  await using server = await writtenServer(async (visitor) => {
    await serve(visitor);
    return await visitor.rest();
  });
  const client = clientOf({
    port: server.port,
    target: "HTTP/localhost",
    encryption,
    system,
    password: "secret",
  });
  const error = await assertRejects(() => client.connect(), Error);
  const { name, message } = error;
  const rest = await server.served as Buffer;
  return { name, message, reason: (error as { reason?: string }).reason, rest };
}

const ANSWERS: [what: string, answer: Buffer, expected: string][] = [
  ["an error, whose words are not shown", message("E", "SFATAL\0Mbuy at evil.test\0\0"), "peer-refused"],
  ["the S of TLS", bytesOf("S"), "unexpected-message"],
  ["a zero", bytesOf("\0"), "unexpected-message"],
  ["G and a token at once", bytesOf("G", 3, "abc"), "unexpected-message"],
  ["N and a message at once", bytesOf("N", READY), "unexpected-message"],
];

test(
  "the request for encryption takes G or N for an answer, and nothing with it",
  () =>
    inService(async (_, __, system) => {
      for (const [what, answer, expected] of ANSWERS) {
        for (const encryption of ["require", "prefer"] as const) {
          const { reason, message, rest } = await against(system, encryption, async (visitor) => {
            await asked(visitor);
            visitor.send(answer);
          });
          assertEquals([reason, rest.length], [expected, 0], what);
          assert(!message.includes("evil"), message);
        }
      }
      const { name, rest, message } = await against(system, "require", async (visitor) => {
        await asked(visitor);
        visitor.send("N");
      });
      assertEquals([name, rest.length], ["SecurityRequirementError", 0]);
      assert(message.includes('encryption: "disable"'), message);
      const closed = await against(system, "require", async (visitor) => {
        await asked(visitor);
        visitor.socket.end();
      });
      assertEquals([closed.reason, closed.rest.length], ["truncated", 0]);
    }),
  { skip },
);

test(
  "where the server has no encryption, prefer goes on with authentication, and believes no early success",
  () =>
    inRealm(async (_, system) => {
      const { reason, rest } = await against(system, "prefer", async (visitor) => {
        await asked(visitor);
        visitor.send("N");
        assert((await sent(visitor, false)).includes("alice"));
        visitor.send(READY);
      });
      assertEquals([reason, rest.length], ["peer-refused", 0]);
    }),
  { skip },
);

const TOKENS: [what: string, answer: Buffer, expected: string][] = [
  ["an empty token", bytesOf(0), "empty"],
  ["a token beyond the limit", bytesOf(65_533), "oversized"],
  ["a gigantic token", bytesOf(0x7fffffff), "oversized"],
  ["an error", message("E", "SFATAL\0Mbuy at evil.test\0\0"), "peer-refused"],
  ["no token", bytesOf(9, "not Kerbe"), "bad-token"],
  ["a message in clear", bytesOf(READY), "oversized"],
];

test(
  "no token but the server's own is believed, and nothing but the client's token is sent before",
  () =>
    inService(async (accept, _, system) => {
      for (const [what, answer, expected] of TOKENS) {
        const { reason, rest, message } = await against(system, "require", async (visitor) => {
          await asked(visitor);
          visitor.send("G");
          await token(visitor);
          visitor.send(answer);
        });
        assertEquals([reason, rest.length], [expected, 0], what);
        assert(!message.includes("evil"), message);
      }
      for (const [cut, expected] of [[0, "peer-closed"], [2, "truncated"], [20, "truncated"]] as const) {
        const { reason, rest } = await against(system, "require", async (visitor) => {
          await asked(visitor);
          visitor.send("G");
          using context = accept();
          const { token: answer } = await context.step(await token(visitor));
          visitor.socket.end(bytesOf(answer!.length, answer!).subarray(0, cut));
        });
        assertEquals([reason, rest.length], [expected, 0]);
      }
      // Every bit of the server's token counts.
      for (const at of [0, 20, 60, -1]) {
        const { name, rest } = await against(system, "require", async (visitor) => {
          await asked(visitor);
          visitor.send("G");
          using context = accept();
          const { token: answer } = await context.step(await token(visitor));
          answer![at < 0 ? answer!.length + at : at] ^= 1;
          visitor.send(answer!.length, answer!);
        });
        assertEquals([name, rest.length], ["AuthenticationError", 0], `byte ${at}`);
      }
    }),
  { skip },
);

/** Records that follow a good exchange of tokens and the startup message. */
const RECORDS: [what: string, make: (context: SecurityContext) => Buffer, expected: string][] = [
  ["an empty record", () => bytesOf(0), "empty"],
  ["a record beyond the limit", () => bytesOf(16_381), "oversized"],
  ["messages in clear", () => READY, "oversized"],
  [
    "a record that is signed only",
    (context) => record(context.wrap(READY, { encrypt: false })),
    "not-encrypted",
  ],
  ["a record that is repeated", (context) => {
    const one = record(context.wrap(message("N", "SNOTICE\0\0")));
    return Buffer.concat([one, one]);
  }, "replayed"],
  ["records out of order", (context) => {
    const [one, two] = [0, 1].map(() => record(context.wrap(message("N", "SNOTICE\0\0"))));
    return Buffer.concat([two, one]);
  }, "gap"],
  ["GSS authentication once more", (context) => record(context.wrap(GSS)), "unexpected-message"],
  [
    "a token of GSS authentication",
    (context) => record(context.wrap(message("R", 8, "abc"))),
    "unexpected-message",
  ],
  ["a row before success", (context) => record(context.wrap(message("D", 0))), "unexpected-message"],
];

function record(wrapped: Uint8Array): Buffer {
  return bytesOf(wrapped.length, wrapped);
}

test(
  "no record but an encrypted one in its turn is believed, and GSS authentication not begun again inside",
  () =>
    inService(async (accept, _, system) => {
      for (const [what, make, expected] of RECORDS) {
        const { reason, rest } = await against(system, "require", async (visitor) => {
          await asked(visitor);
          visitor.send("G");
          using context = accept();
          const { token: answer } = await context.step(await token(visitor));
          visitor.send(answer!.length, answer!);
          const startup = context.unwrap(await token(visitor));
          assert(startup.encrypted && Buffer.from(startup.data).includes("alice"));
          visitor.send(make(context));
        });
        assertEquals([reason, rest.length], [expected, 0], what);
      }
    }),
  { skip },
);

/** What a server sends after the startup message in clear; `token` stands for a good answer to the client's. */
const CLEAR: [what: string, answers: (Buffer | "token" | "twice")[], expected: string][] = [
  ["success at once", [READY], "peer-refused"],
  ["success after it asked for GSS", [bytesOf(GSS, READY)], "peer-refused"],
  ["a token before it asked for GSS", [message("R", 8, "abc")], "unexpected-message"],
  ["GSS twice", [bytesOf(GSS, GSS)], "unexpected-message"],
  ["GSS with data", [message("R", 7, "abc")], "unexpected-message"],
  ["an empty token", [GSS, message("R", 8)], "unexpected-message"],
  ["no token", [GSS, message("R", 8, "not Kerberos")], "bad-token"],
  ["a token too many", [GSS, "twice"], "unexpected-message"],
  ["success with data", [GSS, "token", message("R", 0, "abc")], "unexpected-message"],
  ["a password after it proved itself", [GSS, "token", message("R", 3)], "mechanism"],
  ["a password in clear", [message("R", 3)], "mechanism"],
  ["a password by MD5", [message("R", 5, "salt")], "mechanism"],
  ["SASL", [message("R", 10, "SCRAM-SHA-256\0\0")], "mechanism"],
  ["a code that nobody knows", [message("R", 0xffffffff)], "mechanism"],
  ["ready before success", [message("Z", "I")], "unexpected-message"],
  ["a row before success", [message("D", 0)], "unexpected-message"],
  ["a type other than a letter", [bytesOf("\0\0\0\0\0")], "unexpected-message"],
  ["a length beyond the limit", [bytesOf("R", 30_001)], "oversized"],
  ["a gigantic error", [bytesOf("E", 0xffffffff)], "oversized"],
  ["a length that is shorter than itself", [bytesOf("E", 3)], "malformed"],
  ["a request without its code", [bytesOf("R", 4)], "malformed"],
];

test(
  "without encryption every answer but a complete GSS authentication is refused, and no password is sent",
  () =>
    inService(async (accept, _, system) => {
      for (const [what, answers, expected] of CLEAR) {
        const { reason, rest } = await against(system, "disable", async (visitor) => {
          assert((await sent(visitor, false)).includes("alice"), what);
          using context = accept();
          for (const answer of answers) {
            if (typeof answer !== "string") visitor.send(answer);
            else {
              const { token } = await context.step(await sent(visitor));
              const good = message("R", 8, token!);
              visitor.send(good, answer === "twice" ? good : "");
            }
          }
        });
        assertEquals(reason, expected, what);
        // A token of the client's own may be under way, and nothing else.
        assert(!rest.includes("secret") && (rest.length === 0 || rest[0] === 0x70), what);
      }
    }),
  { skip },
);

test(
  "a driver that writes too early is held back until the server has proved who it is",
  () =>
    inService(async (accept, _, system) => {
      await using server = await writtenServer(async (visitor) => {
        await sent(visitor, false);
        visitor.send(GSS);
        using context = accept();
        const { token } = await context.step(await sent(visitor));
        assertEquals(visitor.incoming.waiting, 0);
        visitor.send(message("R", 8, token!), READY);
        return (await sent(visitor)).toString();
      });
      const stream = postgresStream({ system, encryption: "disable", target: "HTTP/localhost" })();
      stream.on("data", () => {});
      stream.connect(server.port, "localhost").once("connect", () => {
        stream.write(bytesOf(17, 196608, "user\0a\0\0\0"));
        stream.write(message("Q", "select secret\0"));
      });
      assertEquals(await server.served, "select secret\0");
      stream.destroy();
    }),
  { skip },
);

test("without encryption nothing is reported as protected, whatever the mechanism can do besides", async () => {
  for (const mutualAuthentication of [true, false]) {
    const attributes = { integrity: true, confidentiality: true, mutualAuthentication };
    const provider = toyProvider({ attributes });
    const terms = { system: toySystem(), registry: createRegistry([provider]) };
    const acceptor = await openAcceptor({ ...terms, requirements: { mutualAuthentication: false } });
    await using server = await writtenServer(async (visitor) => {
      await sent(visitor, false);
      visitor.send(GSS);
      using context = acceptor.accept();
      const { token } = await context.step(await sent(visitor));
      visitor.send(message("R", 8, token!), READY);
      await visitor.rest();
      visitor.socket.end();
    });
    const client = clientOf({ port: server.port, encryption: "disable", ...terms });
    if (mutualAuthentication) {
      await client.connect();
      const { integrity, confidentiality, mutualAuthentication } = securityOf(client);
      assertEquals([integrity, confidentiality, mutualAuthentication], [false, false, true]);
      await client.end();
    } else {
      const error = await assertRejects(() => client.connect(), SecurityRequirementError);
      assertEquals(error.required, "mutualAuthentication");
    }
    await server.served;
    acceptor.close();
    assertEquals(provider.ledger.live, 0);
  }
});

test(
  "a driver that does not begin with a startup message sends nothing in clear",
  () =>
    inRealm(async (_, system) => {
      for (
        const first of [
          bytesOf(8, 80877103),
          bytesOf(9, 196608, "\0\0"),
          message("Q", "select 1\0"),
          bytesOf(4),
        ]
      ) {
        await using server = await writtenServer(async ({ incoming, socket }) => {
          const sent = await incoming.any();
          socket.end();
          return sent;
        });
        const stream = postgresStream({ system, encryption: "disable", target: "HTTP/localhost" })();
        const ended = new Promise<string>((resolve) => {
          stream.once("error", ({ name }) => resolve(name)).once("close", () => resolve("closed")).resume();
        });
        stream.connect(server.port, "localhost").once("connect", () => stream.write(first));
        assertEquals([await ended, await server.served], ["ProtocolError", null]);
      }
    }),
  { skip },
);

test(
  "a connection to a silent server ends with the signal's reason, unchanged, or when the stream is destroyed",
  () =>
    inService(async (_, __, system) => {
      await using server = await writtenServer((visitor) => visitor.rest());
      for (const encryption of ["require", "disable"] as const) {
        const abort = new AbortController();
        const client = clientOf({ port: server.port, system, encryption, signal: abort.signal });
        const connecting = client.connect();
        const reason = new Error("enough");
        // Only once the server is authenticated is a connection made.
        setTimeout(() => abort.abort(reason), 50);
        assertEquals(await assertRejects(() => connecting, Error), reason);
        const late = clientOf({ port: server.port, system, encryption, signal: abort.signal });
        assertEquals(await assertRejects(() => late.connect(), Error), reason);
        const dropped = clientOf({ port: server.port, system, encryption });
        const dropping = dropped.connect();
        dropped.connection.stream.destroy();
        await assertRejects(() => dropping, Error, "terminated");
      }
    }),
  { skip },
);
