/** What an attacker sends who is the server, the name server, or a stranger in their place: each is refused by its kind. */

import { assert, assertEquals, assertRejects } from "@std/assert";
import { test } from "@test";
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import process from "node:process";
import { type Directory, type DirectoryOptions, openDirectory } from "../../directory/mod.ts";
import { locate } from "../../directory/locate.ts";
import { ProtocolError, TransportError } from "../../errors.ts";
import type { System } from "../../mod.ts";
import { element } from "../../examples/ldap_sasl.ts";
import { certificatesUnavailable, makeCertificate } from "../rig/certificates.ts";
import {
  done,
  entry,
  type FakeOptions,
  message,
  page,
  result,
  startFakeDirectory,
  text,
} from "../support/fake_ldap_server.ts";
import { inRealm, noRealm } from "../support/kerberos.ts";

const skip = noRealm;
const TARGET = "host/localhost";

const [ADDED, MODIFIED] = [0x69, 0x67];

/** Runs `body` with a directory whose server answers as `answer` says, bound and sealed. */
function withAnswers(
  answer: NonNullable<FakeOptions["answer"]>,
  body: (directory: Directory) => Promise<void>,
): Promise<void> {
  return inRealm(async (_, system) => {
    await using server = await startFakeDirectory({ sasl: saslOf(system), answer });
    await using directory = await openDirectory(optionsOf(server.port, system));
    await body(directory);
  });
}

function saslOf(system: System) {
  return { mechanism: "GSS-SPNEGO", acceptedTargets: [TARGET], system } as const;
}

function optionsOf(port: number, system?: System): DirectoryOptions {
  return { servers: [{ hostname: "localhost", port, address: "127.0.0.1" }], target: TARGET, system };
}

async function count(search: AsyncIterable<unknown>): Promise<number> {
  let found = 0;
  for await (const _ of search) found++;
  return found;
}

/** Runs `body` with the port of a server that does `serve` with each connection, in clear text. */
async function withSockets(
  serve: (socket: Socket) => void,
  body: (port: number) => Promise<void>,
): Promise<void> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on("error", () => {}));
    serve(socket);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    await body((server.address() as { port: number }).port);
  } finally {
    for (const socket of sockets) socket.destroy();
    server.close();
  }
}

const CUT: { readonly [title: string]: (id: number) => Uint8Array } = {
  "without a code": (id) => message(id, element(MODIFIED)),
  "without words": (id) => message(id, element(MODIFIED, element(0x0a, Uint8Array.of(0)))),
  "whose code is empty": (id) => message(id, element(MODIFIED, element(0x0a), text(""), text(""))),
  "whose code is not an enumeration": (id) =>
    message(id, element(MODIFIED, element(0x02, Uint8Array.of(0)), text(""), text(""))),
  "to another request": (id) => message(id, result(ADDED, 0)),
  "with a number that is not whole": (id) =>
    element(0x30, element(0x02, Uint8Array.of(0, 0, 0, 0, id)), result(MODIFIED, 0)),
};
for (const [title, answer] of Object.entries(CUT)) {
  test(`a result ${title} is not success`, () =>
    withAnswers(({ id }) => [answer(id)], async (directory) => {
      const change = { operation: "add", attribute: "description", values: ["x"] } as const;
      await assertRejects(() => directory.modify("CN=x", [change]), ProtocolError);
    }), { skip });
}

const PAGING: { readonly [title: string]: Uint8Array } = {
  "is cut": element(0x30, text("1.2.840.113556.1.4.319"), text("\x30\x50\x02\x01")),
  "has no cookie": element(
    0x30,
    text("1.2.840.113556.1.4.319"),
    element(0x04, element(0x30, element(0x02, Uint8Array.of(0)))),
  ),
};
for (const [title, control] of Object.entries(PAGING)) {
  test(`a search whose paging ${title} is not complete`, () =>
    withAnswers(
      ({ id }) => [message(id, entry("CN=x", {})), message(id, done(), control)],
      (directory) => assertRejects(() => count(directory.search({})), ProtocolError).then(() => {}),
    ), { skip });
}

test("a server returns no more objects than were asked for", () =>
  withAnswers(
    ({ id }) => [..."abc"].map((name) => message(id, entry(`CN=${name}`, {}))).concat(message(id, done())),
    async (directory) => {
      assertEquals(await count(directory.search({ pageSize: 3 })), 3);
      await assertRejects(() => count(directory.search({ pageSize: 2 })), ProtocolError, "more objects");
    },
  ), { skip });

test(
  "thousands of referrals in one message, and values without end, are refused, or passed over",
  async () => {
    const url = text("ldap://x/DC=y");
    const many = element(0x73, Buffer.concat(Array.from({ length: 300_000 }, () => url)));
    await withAnswers(({ id }) => [message(id, many), message(id, done())], async (directory) => {
      await assertRejects(() => count(directory.search({})), ProtocolError, "10000 referrals");
    });
    const values = element(0x31, Buffer.alloc(2 * 3_000_000, Buffer.from([4, 0])));
    const flood = element(0x64, text("CN=x"), element(0x30, element(0x30, text("a"), values)));
    await withAnswers(
      ({ id }) => [message(id, flood), message(id, done())],
      (directory) => assertRejects(() => directory.read("CN=x"), ProtocolError, "values").then(() => {}),
    );
  },
  { skip },
);

test(
  "what is not authenticated yet holds no memory: a long answer to a bind is refused by its length",
  () =>
    inRealm(async (_, system) => {
      const begin = (socket: Socket) =>
        socket.once("data", () => socket.write(Buffer.from("3084001fffff", "hex")));
      await withSockets(
        begin,
        (port) =>
          assertRejects(
            () => openDirectory(optionsOf(port, system)),
            ProtocolError,
            "before it was authenticated",
          )
            .then(() => {}),
      );
    }),
  { skip },
);

test("a bind whose code has another form is not success", () =>
  inRealm(async (_, system) => {
    // 49, invalidCredentials, in two bytes, the first of which is 0.
    const bound = element(0x61, element(0x0a, Uint8Array.of(0, 49)), text(""), text(""));
    const certificate = await makeCertificate();
    await using server = await startFakeDirectory({ certificate, rawBind: bound });
    const options = { ...optionsOf(server.port), security: "ldaps", ca: certificate.cert } as const;
    const { target: _target, ...simple } = { ...options, simple: { name: "CN=a", password: "b" } };
    const error = await assertRejects(() => openDirectory(simple));
    assert(/name or the password|refuses the credentials/.test(`${error}`), `${error}`);
    await assertRejects(() => openDirectory({ ...options, system }), Error);
  }), { skip: skip ?? certificatesUnavailable() });

test("no variable of the environment turns the check of certificates off", async () => {
  const certificate = await makeCertificate();
  await using server = await startFakeDirectory({ certificate });
  const { target: _, ...options } = optionsOf(server.port);
  const simple = { name: "CN=a", password: "b" };
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = "0";
  try {
    await assertRejects(
      () => openDirectory({ ...options, security: "ldaps", simple }),
      TransportError,
      "options.ca",
    );
  } finally {
    delete process.env.NODE_TLS_REJECT_UNAUTHORIZED;
  }
  assertEquals(server.binds, []);
}, { skip: certificatesUnavailable() });

test("names that DNS answers and that a host cannot have are passed over", async () => {
  const wrong = ["dc1/evil", "x@EVIL.TEST", "dc1:88", "10.0.0.1", "::1", "a b", "dc1\u0000", "", ".", "a..b"];
  const record = (hostname: string, port = 389) => ({ hostname, port, priority: 0, weight: 0 });
  const records = [
    ...wrong.map((name) => record(name)),
    record("zero.example.test", 0),
    record("dc1.example.test"),
  ];
  const domain = { domain: "example.test", globalCatalog: false };
  assertEquals(await locate(domain, { records: () => Promise.resolve(records) }), [
    { hostname: "dc1.example.test", port: 389 },
  ]);
  await assertRejects(
    () => locate(domain, { records: () => Promise.resolve(records.slice(0, -1)) }),
    TransportError,
    "no SRV records",
  );
});

test(
  "a controller whose address cannot be resolved is passed over as any that cannot be reached",
  async () => {
    const records = ["a", "b"].map((name) => ({
      hostname: `${name}.example.test`,
      port: 1,
      priority: 0,
      weight: 0,
    }));
    const resolver = {
      records: () => Promise.resolve(records),
      addresses: () => Promise.reject(Object.assign(new Error("no"), { code: "ESERVFAIL" })),
    };
    const error = await assertRejects(
      () => openDirectory({ domain: "example.test", resolver }),
      TransportError,
      "none of 2 servers serves",
    );
    assertEquals(error.codeName, "ESERVFAIL");
  },
  { skip },
);

test("a controller of another domain than was asked for is not used", () =>
  inRealm(async (_, system) => {
    const root = { defaultNamingContext: ["DC=other,DC=test"] };
    await using server = await startFakeDirectory({ sasl: saslOf(system), root });
    const options = { ...optionsOf(server.port, system), domain: "example.test" };
    await assertRejects(() => openDirectory(options), ProtocolError, "other.test");
    await using own = await openDirectory({ ...options, domain: "other.test" });
    assertEquals(own.rootDse.domain, "other.test");
  }), { skip });

test(
  "a search that is left early abandons the page that nobody reads, and the directory goes on",
  async () => {
    const [ABANDON, asked] = [0x50, [] as number[]];
    const answer: FakeOptions["answer"] = ({ id, tag }) => {
      asked.push(tag);
      return tag === ABANDON ? [] : [message(id, entry("CN=x", {})), message(id, done(), page("more"))];
    };
    await withAnswers(answer, async (directory) => {
      for await (const _ of directory.search({})) break;
      assertEquals((await directory.read("CN=x"))?.dn, "CN=x");
    });
    assertEquals(asked.filter((tag) => tag === ABANDON).length, 1);
  },
  { skip },
);

test("a server whose search has no end, and no objects, is left", () =>
  withAnswers(
    ({ id }) => [message(id, done(), page("more"))],
    (directory) =>
      assertRejects(() => count(directory.search({})), ProtocolError, "come to an end").then(() => {}),
  ), { skip });
