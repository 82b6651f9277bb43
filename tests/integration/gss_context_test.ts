/** Contexts of negotiate() and kerberos() on a real Kerberos realm: what is agreed on, and records both ways. */

import {
  assert,
  assertEquals,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { AuthenticationError, ProtocolError } from "../../errors.ts";
import { verifyAttributes } from "../../plugins/requirements.ts";
import { resolveRequirements } from "../../plugins/requirements.ts";
import { bytes, includes, NAMES, PROVIDERS, unwrap, withContexts, wrap } from "../support/gss.ts";
import { inRealm, noRealm } from "../support/kerberos.ts";

const skip = noRealm;
const FULL = {
  mechanism: "kerberos",
  mutualAuthentication: true,
  integrity: true,
  confidentiality: true,
  replayDetection: true,
  sequenceDetection: true,
  delegation: false,
  channelBound: false,
  impersonation: "identify",
  records: "accelerated",
} as const;

for (const name of NAMES) {
  const provider = PROVIDERS[name];

  test(
    `${name}: attributes and peerName on both ends are as required`,
    () =>
      inRealm((realm, system) =>
        withContexts(system, { provider }, ({ client, server }, tokens) => {
          assertEquals(tokens.length, 2);
          for (const [end, role] of [[client, "client"], [server, "server"]] as const) {
            assertEquals(end.attributes, FULL);
            verifyAttributes(end.attributes, resolveRequirements(), role, false);
            assertThrows(
              () => ((end.attributes as { mutualAuthentication: boolean }).mutualAuthentication = false),
              TypeError,
            );
            const hours = (end.expiresAt!.getTime() - Date.now()) / 3_600_000;
            assert(hours > 9.9 && hours < 10.2, `${hours} h`);
          }
          assertEquals([client.peerName, server.peerName], ["HTTP/localhost", `alice@${realm.realm}`]);
          assertEquals([client.requestedTarget, server.requestedTarget], [
            undefined,
            `HTTP/localhost@${realm.realm}`,
          ]);
        })
      ),
    { skip },
  );

  test(
    `${name}: sessionKey() returns the same key on both ends, each time as a copy`,
    () =>
      inRealm((_, system) =>
        withContexts(system, { provider }, async ({ client, server }) => {
          const key = client.sessionKey();
          assertEquals(key.length, 32);
          assertEquals(server.sessionKey(), key);
          const copy = key.slice();
          key.fill(0);
          assertEquals(client.sessionKey(), copy);
          await withContexts(system, { provider }, (other) => {
            assertNotEquals(other.client.sessionKey(), copy);
          });
        })
      ),
    { skip },
  );

  test(
    `${name}: wrap() and unwrap() transfer encrypted records of every size, in both directions, and do not change the plain text`,
    () =>
      inRealm((_, system) =>
        withContexts(system, { provider }, ({ client, server }) => {
          const size = fc.oneof(fc.constantFrom(0, 1, 15, 16, 17, 65535, 65536), fc.nat(300), fc.nat(65536));
          fc.assert(
            fc.property(size, fc.boolean(), fc.nat(40), (length, fromClient, before) => {
              const [from, to] = fromClient ? [client, server] : [server, client];
              const plain = new Uint8Array(length).map((_, index) => index * 31 & 0xff);
              const whole = new Uint8Array(before + length + from.maxOverhead + 7).fill(0xa5);
              const out = whole.subarray(before, whole.length - 7);
              const record = from.wrap(plain, out);
              assertEquals(record.buffer, whole.buffer);
              assert(record.length <= length + from.maxOverhead);
              assert(plain.every((byte, index) => byte === (index * 31 & 0xff)));
              assert(length < 16 || !includes(record, plain.subarray(0, 16)));
              assert(whole.subarray(0, before).every((byte) => byte === 0xa5));
              assert(whole.subarray(whole.length - 7).every((byte) => byte === 0xa5));
              const opened = to.unwrap(record);
              assertEquals(opened, plain);
              assertEquals(opened.buffer, whole.buffer);
            }),
            { numRuns: 150 },
          );
        })
      ),
    { skip },
  );

  test(
    `${name}: verify() accepts a signature for its message only, in order, from the peer only`,
    () =>
      inRealm((_, system) =>
        withContexts(system, { provider }, ({ client, server }) => {
          const messages = [bytes("pay 10"), new Uint8Array(0), new Uint8Array(65536).fill(7)];
          for (const message of messages) server.verify(message, client.sign(message));
          const signature = client.sign(messages[0]);
          assertThrows(() => server.verify(bytes("pay 99"), signature), ProtocolError);
          assertThrows(() => client.verify(messages[0], signature), ProtocolError);
          for (let at = 0; at < signature.length; at++) {
            const changed = signature.slice();
            changed[at] ^= 1;
            assertThrows(() => server.verify(messages[0], changed), ProtocolError);
          }
          for (let length = 1; length < signature.length; length++) {
            assertThrows(() => server.verify(messages[0], signature.subarray(0, length)), ProtocolError);
          }
          server.verify(messages[0], signature);
          const again = assertThrows(() => server.verify(messages[0], signature), ProtocolError);
          assertEquals(again.reason, "replayed");
          const empty = assertThrows(() => server.verify(messages[0], new Uint8Array(0)), ProtocolError);
          assertEquals(empty.reason, "empty");
          // Records and signatures are numbered together.
          assertEquals(unwrap(server, wrap(client, messages[0])), messages[0]);
        })
      ),
    { skip },
  );

  test(
    `${name}: wrap() signs and does not encrypt where only integrity is required`,
    () =>
      inRealm((_, system) =>
        withContexts(system, { provider, requirements: { confidentiality: false } }, ({ client, server }) => {
          assertEquals(client.attributes, { ...FULL, confidentiality: false });
          assertEquals(server.attributes, { ...FULL, confidentiality: false });
          for (const length of [0, 1, 100, 65536]) {
            const plain = new Uint8Array(length).fill(0x41);
            const record = wrap(client, plain);
            assert(includes(record, plain));
            const changed = record.slice();
            changed[length === 0 ? 16 : changed.indexOf(0x41)] ^= 1;
            assertThrows(() => server.unwrap(changed), ProtocolError);
            assertEquals(unwrap(server, record), plain);
          }
        })
      ),
    { skip },
  );

  test(
    `${name}: without mutual authentication one token is enough, and the client reports mutualAuthentication false`,
    () =>
      inRealm((_, system) =>
        withContexts(
          system,
          { provider, requirements: { mutualAuthentication: false } },
          ({ client }, tokens) => {
            assertEquals(client.attributes.mutualAuthentication, false);
            assert(name === "negotiate" || tokens.length === 1);
            assertThrows(() => verifyAttributes(client.attributes, resolveRequirements(), "client", false));
          },
        )
      ),
    { skip },
  );

  test(
    `${name}: wrap() and unwrap() refuse bad arguments first, and the context stays usable`,
    () =>
      inRealm((_, system) =>
        withContexts(system, { provider }, ({ client, server }) => {
          const plain = bytes("plain");
          const out = new Uint8Array(plain.length + client.maxOverhead - 1).fill(9);
          assertThrows(() => client.wrap(plain, out), RangeError, `needs ${out.length + 1}`);
          assert(out.every((byte) => byte === 9));
          const wrong = [null, "plain", [1, 2], new ArrayBuffer(4), new Uint16Array(4), { length: 4 }];
          for (const value of wrong as unknown as Uint8Array[]) {
            assertThrows(() => client.wrap(value, new Uint8Array(200)), TypeError, "plain");
            assertThrows(() => client.wrap(plain, value), TypeError, "out");
            assertThrows(() => server.unwrap(value), TypeError, "record");
            assertThrows(() => client.sign(value), TypeError, "message");
            assertThrows(() => server.verify(plain, value), TypeError, "signature");
          }
          assertEquals(unwrap(server, wrap(client, plain)), plain);
        })
      ),
    { skip },
  );
}

test(
  "a negotiate() client at a kerberos() server is refused with the provider of each",
  () =>
    inRealm(async (_, system) => {
      const options = { client: { provider: PROVIDERS.negotiate }, server: { provider: PROVIDERS.kerberos } };
      const error = await assertRejects(() => withContexts(system, options, () => {}), AuthenticationError);
      assertEquals(error.reason, "mechanism");
      assertStringIncludes(
        error.message,
        "The peer uses SPNEGO, as negotiate() does; this end uses Kerberos without SPNEGO, as kerberos() does",
      );
    }),
  { skip },
);
