/** Records that were changed, lost, repeated, reflected or not encrypted are refused. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import { ProtocolError, type ProtocolReason, SecurityRequirementError } from "../../errors.ts";
import { GSS_C } from "../../ffi/raw/gssapi.ts";
import type { NativeSystem, SystemSeams } from "../../ffi/system.ts";
import type { ProviderContext, Requirements } from "../../contract.ts";
import {
  acquire,
  bytes,
  exchange,
  inRealmWith,
  NAMES,
  PROVIDERS,
  TARGET,
  unwrap,
  withContexts,
  wrap,
} from "../support/gss.ts";
import { noRealm } from "../support/kerberos.ts";
import { RawClient } from "../support/raw_gss.ts";

const skip = noRealm;
const PLAIN = bytes("attack at dawn");

/** Both ways to protect records. */
const WAYS = { "libcrypto": {}, "the system's library": { records: "system" } } as const;

/** Runs `body` with a new realm in which alice has a ticket. */
function inRealmOf(seams: SystemSeams, body: (system: NativeSystem) => Promise<void>): Promise<void> {
  return inRealmWith(seams, async (realm, system) => {
    await realm.kinit("alice");
    await body(system);
  });
}

function refused(context: ProviderContext, record: Uint8Array): ProtocolError {
  const copy = record.slice();
  const error = assertThrows(() => context.unwrap(copy), ProtocolError);
  assert(copy.every((byte) => byte === 0), "the refused data can still be read");
  return error;
}

function reasonOf(context: ProviderContext, record: Uint8Array): ProtocolReason {
  return refused(context, record).reason;
}

/** Every combination of three lists. */
function combined<A, B, C>(first: readonly A[], second: readonly B[], third: readonly C[]): [A, B, C][] {
  return first.flatMap((a) => second.flatMap((b) => third.map((c): [A, B, C] => [a, b, c])));
}

for (const [name, confidentiality, [way, seams]] of combined(NAMES, [true, false], Object.entries(WAYS))) {
  const requirements: Requirements = { confidentiality };
  const options = { provider: PROVIDERS[name], requirements };
  const kind = `${name}, ${confidentiality ? "sealed" : "signed"} by ${way}`;

  test(
    `${kind}: unwrap() refuses a record with any byte changed, and still accepts the original`,
    () =>
      inRealmOf(seams, (system) =>
        withContexts(system, options, ({ client, server }) => {
          // SPNEGO's first record is opened in another way than later ones.
          if (name === "negotiate") unwrap(server, wrap(client, PLAIN));
          const record = wrap(client, PLAIN);
          for (let at = 0; at < record.length; at++) {
            for (const bit of [1, 0x80]) {
              const changed = record.slice();
              changed[at] ^= bit;
              const { reason } = refused(server, changed);
              assert(["altered", "malformed", "not-encrypted"].includes(reason), `${reason} at byte ${at}`);
            }
          }
          assertEquals(unwrap(server, record), PLAIN);
        })),
    { skip },
  );

  test(
    `${kind}: unwrap() refuses shortened, extended and empty records`,
    () =>
      inRealmOf(seams, (system) =>
        withContexts(system, options, ({ client, server }) => {
          if (name === "negotiate") unwrap(server, wrap(client, PLAIN));
          const record = wrap(client, PLAIN);
          for (let length = 1; length < record.length; length++) refused(server, record.slice(0, length));
          for (const more of [1, 16, 5000]) {
            refused(server, new Uint8Array([...record, ...new Uint8Array(more)]));
            refused(server, new Uint8Array([...new Uint8Array(more), ...record]));
          }
          const empty = assertThrows(() => server.unwrap(new Uint8Array(0)), ProtocolError);
          assertEquals(empty.reason, "empty");
          assertEquals(unwrap(server, record), PLAIN);
        })),
    { skip },
  );

  test(
    `${kind}: unwrap() refuses a record returned to its sender, or from another connection`,
    () =>
      inRealmOf(seams, (system) =>
        withContexts(system, options, async ({ client, server }) => {
          const record = wrap(client, PLAIN);
          refused(client, record);
          await withContexts(system, options, (other) => {
            refused(other.server, record);
            refused(other.client, record);
          });
          assertEquals(unwrap(server, record), PLAIN);
        })),
    { skip },
  );
}

/** Flags of a client: those of this library, and those of .NET, without sequence detection. */
const CLIENTS = {
  "with sequence detection": GSS_C.SEQUENCE_FLAG | GSS_C.REPLAY_FLAG,
  "with replay detection alone": GSS_C.REPLAY_FLAG,
  "with neither": 0,
} as const;
const DOTNET = GSS_C.MUTUAL_FLAG | GSS_C.INTEG_FLAG | GSS_C.CONF_FLAG;

/** Runs `body` with a server of this library and a client that requests `flags`. */
async function withRawClient(
  system: NativeSystem,
  mechanism: "kerberos" | "spnego",
  flags: number,
  body: (client: RawClient, server: ProviderContext) => unknown,
  requirements: Requirements = {},
): Promise<void> {
  const provider = mechanism === "kerberos" ? PROVIDERS.kerberos : PROVIDERS.negotiate;
  using credentials = await acquire(system, "server", { provider, requirements });
  using client = new RawClient(system, { mechanism, target: TARGET, flags });
  const server = credentials.server({});
  try {
    await exchange({ client, server });
    await body(client, server);
  } finally {
    server.close();
  }
}

for (const mechanism of ["kerberos", "spnego"] as const) {
  for (const [[what, flags], [way, seams]] of combined(Object.entries(CLIENTS), Object.entries(WAYS), [0])) {
    test(
      `unwrap() of a ${mechanism} client ${what} refuses lost, repeated and swapped records, by ${way}`,
      () =>
        inRealmWith(seams, async (realm, system) => {
          await realm.kinit("alice");
          const fresh = (body: (seal: () => Uint8Array, server: ProviderContext) => void): Promise<void> =>
            withRawClient(system, mechanism, DOTNET | flags, (client, server) => {
              assertEquals([server.attributes.sequenceDetection, server.attributes.replayDetection], [
                true,
                true,
              ]);
              const records = client.records();
              body(() => records.wrap(PLAIN, new Uint8Array(PLAIN.length + records.maxOverhead)), server);
            });
          await fresh((seal, server) => {
            const [one, two, three] = [seal(), seal(), seal()];
            assertEquals(unwrap(server, one), PLAIN);
            assertEquals(reasonOf(server, one), "replayed");
            assertEquals(unwrap(server, two), PLAIN);
            assertEquals(reasonOf(server, one), "replayed");
            assertEquals(unwrap(server, three), PLAIN);
          });
          await fresh((seal, server) => {
            seal();
            assertEquals(reasonOf(server, seal()), "gap", "the first record was dropped");
          });
          await fresh((seal, server) => {
            const [one, , three] = [seal(), seal(), seal()];
            assertEquals(unwrap(server, one), PLAIN);
            assertEquals(reasonOf(server, three), "gap");
            assert(["out-of-order", "gap", "replayed"].includes(reasonOf(server, one)));
          });
          await fresh((seal, server) => {
            const [, two] = [seal(), seal()];
            assertEquals(reasonOf(server, two), "gap");
          });
        }),
      { skip },
    );
  }

  test(
    `verify() of a ${mechanism} client without sequence detection checks the order of signatures`,
    () =>
      inRealmWith({}, async (realm, system) => {
        await realm.kinit("alice");
        await withRawClient(system, mechanism, DOTNET, (client, server) => {
          const records = client.records();
          const signatures = [records.sign(PLAIN), records.sign(PLAIN), records.sign(PLAIN)];
          server.verify(PLAIN, signatures[0]);
          const reason = (signature: Uint8Array) =>
            assertThrows(() => server.verify(PLAIN, signature), ProtocolError).reason;
          assertEquals([reason(signatures[0]), reason(signatures[2])], ["replayed", "gap"]);
          server.verify(PLAIN, signatures[1]);
          server.verify(PLAIN, signatures[2]);
          assertEquals(reason(new Uint8Array(28)), "malformed");
        });
      }),
    { skip },
  );

  test(
    `unwrap() refuses a ${mechanism} record that is signed but not encrypted where encryption is required or agreed on`,
    () =>
      inRealmWith({}, async (realm, system) => {
        await realm.kinit("alice");
        const open = (client: RawClient): Uint8Array => {
          const records = client.records({ encrypts: false });
          return records.wrap(PLAIN, new Uint8Array(PLAIN.length + records.maxOverhead));
        };
        for (const flags of Object.values(CLIENTS)) {
          await withRawClient(system, mechanism, DOTNET | flags, (client, server) => {
            assertEquals(reasonOf(server, open(client)), "not-encrypted");
          });
        }
        await withRawClient(system, mechanism, DOTNET, (client, server) => {
          assertEquals(server.attributes.confidentiality, true);
          assertEquals(reasonOf(server, open(client)), "not-encrypted");
        }, { confidentiality: false });
      }),
    { skip },
  );

  test(
    `wrap() sends nothing where encryption is required and the ${mechanism} peer did not agree to it`,
    () =>
      inRealmWith({}, async (realm, system) => {
        await realm.kinit("alice");
        const provider = mechanism === "kerberos" ? PROVIDERS.kerberos : PROVIDERS.negotiate;
        const weak: Requirements = { confidentiality: false };
        await withContexts(system, { provider, client: { requirements: weak } }, ({ server }) => {
          assertEquals(server.attributes.confidentiality, false);
          const out = new Uint8Array(200).fill(9);
          const error = assertThrows(
            () => server.wrap(PLAIN, out),
            SecurityRequirementError,
            "nothing was sent",
          );
          assertEquals(error.required, "confidentiality");
          assert(out.every((byte) => byte === 0));
        });
      }),
    { skip },
  );
}

for (const name of NAMES) {
  test(
    `${name}: wrap() and unwrap() report used-up sequence numbers, and the other direction stays usable`,
    () =>
      inRealmWith({ maxRecords: 3 }, async (realm, system) => {
        await realm.kinit("alice");
        await withContexts(system, { provider: PROVIDERS[name] }, ({ client, server }) => {
          const record = wrap(client, PLAIN);
          unwrap(server, record);
          server.verify(PLAIN, client.sign(PLAIN));
          unwrap(server, wrap(client, PLAIN));
          const out = new Uint8Array(200).fill(9);
          const sealing = assertThrows(() => client.wrap(PLAIN, out), ProtocolError, "connect again");
          assertEquals(sealing.reason, "sequence-exhausted");
          assert(out.every((byte) => byte === 0));
          assertEquals(assertThrows(() => client.sign(PLAIN), ProtocolError).reason, "sequence-exhausted");
          assertEquals(reasonOf(server, record), "sequence-exhausted");
          assertEquals(
            assertThrows(() => server.verify(PLAIN, new Uint8Array(28)), ProtocolError).reason,
            "sequence-exhausted",
          );
          assertEquals(unwrap(client, wrap(server, PLAIN)), PLAIN);
        });
      }),
    { skip },
  );
}
