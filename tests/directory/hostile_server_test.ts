/** A directory whose server lies, breaks off, floods or says nothing: nothing hangs, and each error says why. */

import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { Buffer } from "node:buffer";
import { type Directory, type DirectoryEntry, openDirectory } from "../../directory/mod.ts";
import { MessageReader } from "../../directory/ber.ts";
import { DirectoryError, ProtocolError, StateError, TimeoutError, TransportError } from "../../errors.ts";
import type { System } from "../../mod.ts";
import { element } from "../../examples/ldap_sasl.ts";
import {
  done,
  entry,
  type FakeOptions,
  message,
  page,
  startFakeDirectory,
  text,
} from "../support/fake_ldap_server.ts";
import { inRealm, noRealm } from "../support/kerberos.ts";

const skip = noRealm;
const TARGET = "host/localhost";

/** Runs `body` with a directory whose server answers as `options` say, bound and sealed. */
async function withServer(
  system: System,
  options: FakeOptions,
  body: (directory: Directory) => Promise<void>,
  timeoutMs = 10_000,
): Promise<void> {
  const sasl = { mechanism: "GSS-SPNEGO", acceptedTargets: [TARGET], system } as const;
  await using server = await startFakeDirectory({ sasl, ...options });
  const servers = [{ hostname: "localhost", port: server.port, address: "127.0.0.1" }];
  await using directory = await openDirectory({ servers, target: TARGET, system, timeoutMs });
  await body(directory);
}

async function all(search: AsyncIterable<DirectoryEntry>): Promise<DirectoryEntry[]> {
  const found: DirectoryEntry[] = [];
  for await (const each of search) found.push(each);
  return found;
}

test(
  "search() goes on after a page without entries, as long as there is a cookie",
  () =>
    inRealm((_, system) => {
      const pages = [["a"], [], ["b", "c"], []];
      return withServer(system, {
        answer: ({ id, count }) => [
          ...pages[count].map((name) => message(id, entry(`CN=${name}`, {}))),
          message(id, done(), page(count < 3 ? `cookie ${count}` : "")),
        ],
      }, async (directory) => {
        assertEquals((await all(directory.search({}))).map(({ dn }) => dn), ["CN=a", "CN=b", "CN=c"]);
      });
    }),
  { skip },
);

test(
  "an entry's values are typed, whatever a server makes of its attributes",
  () =>
    inRealm((_, system) =>
      withServer(system, {
        answer: ({ id }) => [
          message(
            id,
            entry("CN=x", {
              dn: ["CN=other"],
              __proto__: ["x"],
              constructor: ["y"],
              bytes: [Uint8Array.of(0xff, 0xfe)],
              bom: ["\ufeffa"],
              many: ["1", "2"],
              none: [],
            }),
          ),
          message(id, done()),
        ],
      }, async (directory) => {
        const read = await directory.read("CN=x");
        assertEquals(read?.dn, "CN=x");
        assertEquals(read?.text("DN"), "CN=other");
        assertEquals(read?.text("constructor"), "y");
        assertEquals(read?.text("toString"), undefined);
        assertEquals(read?.text("bom"), "\ufeffa");
        assertEquals(read?.bytes("bytes"), [Uint8Array.of(0xff, 0xfe)]);
        assertThrows(() => read?.text("bytes"), DirectoryError, "not text");
        assertThrows(() => read?.text("many"), DirectoryError, "2 values");
        assertEquals([read?.text("none"), read?.attributes.includes("none")], [undefined, false]);
      })
    ),
  { skip },
);

test(
  "parts of an attribute are put together, and parts that do not follow each other are refused",
  () =>
    inRealm(async (_, system) => {
      const part = (type: string, values: string[]) => ({ [type]: values });
      const answers = async (parts: Record<string, string[]>[]): Promise<readonly string[] | undefined> => {
        let values: readonly string[] | undefined;
        await withServer(system, {
          answer: ({ id, count }) => [message(id, entry("CN=x", parts[count] ?? {})), message(id, done())],
        }, async (directory) => {
          values = (await directory.read("CN=x", { attributes: ["member"] }))?.texts("member");
        });
        return values;
      };
      assertEquals(
        await answers([
          { member: [], ...part("member;range=0-1", ["a", "b"]) },
          part("member;range=2-3", ["c", "d"]),
          part("Member;Range=4-*", ["e"]),
        ]),
        ["a", "b", "c", "d", "e"],
      );
      for (
        const wrong of [
          [part("member;range=1-2", ["a", "b"])],
          [part("member;range=0-5", ["a", "b"])],
          [part("member;range=0-1", ["a", "b"]), part("member;range=0-1", ["a", "b"])],
          [part("member;range=0-1", ["a", "b"]), part("other;range=2-*", ["c"])],
          [part("member;range=0-1", ["a", "b"]), {}],
        ]
      ) await assertRejects(() => answers(wrong), ProtocolError, "do not follow each other");
    }),
  { skip },
);

test(
  "a server's bytes that are not LDAP end the connection, and everything that waits",
  () =>
    inRealm(async (_, system) => {
      // The answer to the first request after the root.
      const cut = message(2, entry("CN=x", { a: ["b"] }));
      // The list of attributes is said to be longer than the message.
      const long = Buffer.from(cut);
      long[long.indexOf(Buffer.from("CN=x")) + 7] += 3;
      const bad: Uint8Array[] = [
        Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n"),
        Uint8Array.of(0x30, 0x80, 0, 0),
        Uint8Array.of(0x30, 0x85, 1, 1, 1, 1, 1),
        Uint8Array.of(0x30, 0x84, 0xff, 0xff, 0xff, 0xff),
        long,
        element(0x30, element(0x02, Uint8Array.of(2)), element(0x79, text("x"))),
        element(0x30, element(0x65)),
        Uint8Array.of(0x30, 0),
      ];
      for (const bytes of bad) {
        await withServer(system, { answer: () => [bytes] }, async (directory) => {
          const waiting = [directory.read("CN=x"), directory.delete("CN=y")];
          for (const each of waiting) await assertRejects(() => each, ProtocolError);
          await assertRejects(() => directory.read("CN=z"), ProtocolError);
        });
      }
    }),
  { skip },
);

test("MessageReader cuts any bytes into messages, or refuses them, whatever the chunks", () => {
  const messages = fc.array(
    fc.uint8Array({ maxLength: 300 }).map((content) => message(1, element(0x04, content))),
    {
      minLength: 1,
      maxLength: 5,
    },
  );
  fc.assert(
    fc.property(messages, fc.infiniteStream(fc.integer({ min: 1, max: 70 })), (whole, sizes) => {
      const bytes = Buffer.concat(whole);
      const reader = new MessageReader();
      const found: Uint8Array[] = [];
      for (let at = 0; at < bytes.length;) {
        const end = at + sizes.next().value;
        found.push(...reader.push(bytes.subarray(at, end)));
        at = end;
      }
      assertEquals(found.map((each) => Buffer.from(each)), whole.map((each) => Buffer.from(each)));
      assertEquals(reader.pending, 0);
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      const reader = new MessageReader();
      try {
        for (const each of reader.push(bytes)) assert(each.length >= 2);
      } catch (error) {
        assert(error instanceof ProtocolError);
      }
    }),
    { numRuns: 2000 },
  );
});

test(
  "a connection that ends in the middle of an operation says so, and is not made again",
  () =>
    inRealm(async (_, system) => {
      await withServer(
        system,
        { answer: ({ stream }) => [stream.destroy()].slice(1) as never },
        async (directory) => {
          await assertRejects(() => all(directory.search({})), TransportError, "Open the directory again");
          await assertRejects(() => directory.read("CN=x"), TransportError, "ended the connection");
        },
      );
      // The server takes its leave.
      const notice = message(
        0,
        element(0x78, element(0x0a, Uint8Array.of(52)), text(""), text("shutting down")),
      );
      await withServer(system, { answer: () => [notice] }, async (directory) => {
        await assertRejects(() => directory.read("CN=x"), TransportError, "shutting down");
      });
    }),
  { skip },
);

test(
  "an operation ends with its signal or the time-out, and close() with what waits",
  () =>
    inRealm(async (_, system) => {
      await withServer(system, { answer: () => [] }, async (directory) => {
        const controller = new AbortController();
        const waiting = directory.read("CN=x", { signal: controller.signal });
        controller.abort(new RangeError("enough"));
        await assertRejects(() => waiting, RangeError, "enough");
        await assertRejects(
          () => directory.read("CN=x", { signal: controller.signal }),
          RangeError,
          "enough",
        );
        const other = directory.read("CN=y");
        const closing = directory.close();
        await assertRejects(() => other, StateError, "closed");
        await closing;
      });
      await withServer(system, { answer: () => [] }, async (directory) => {
        await assertRejects(() => directory.read("CN=x"), TimeoutError, "longer than 300 ms");
        await assertRejects(() => directory.read("CN=x"), TimeoutError);
      }, 300);
    }),
  { skip },
);

test(
  "a server's words cannot change a terminal, and its results keep their codes",
  () =>
    inRealm((_, system) =>
      withServer(system, {
        answer: (
          { id, count },
        ) => [message(id, done([1, 3, 10, 51, 80, 123][count], `\x1b[31mred\n\u202e${"x".repeat(999)}`))],
      }, async (directory) => {
        for (const code of [1, 3, 10, 51, 80, 123]) {
          const error = await assertRejects(() => directory.read("CN=x"), DirectoryError);
          assertEquals(error.resultCode, code);
          // deno-lint-ignore no-control-regex
          assert(!/[\u0000-\u001f\u202e]/.test(error.message) && error.message.length < 600, error.message);
        }
      })
    ),
  { skip },
);

test(
  "a server that is not a controller, or names its domain wrongly, is refused when it is opened",
  () =>
    inRealm(async (_, system) => {
      const roots: NonNullable<FakeOptions["root"]>[] = [
        { defaultNamingContext: [] },
        { rootDomainNamingContext: ["?"] },
      ];
      for (const root of roots) {
        await assertRejects(() => withServer(system, { root }, () => Promise.resolve()), ProtocolError);
      }
      const two = { root: { dnsHostName: ["a", "b"] } };
      await assertRejects(() => withServer(system, two, () => Promise.resolve()), DirectoryError, "2 values");
    }),
  { skip },
);
