/** Other ways to wrap messages: signed only, to a size limit, and with a separate header. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import type { ProviderContext } from "../../contract.ts";
import { ProtocolError } from "../../errors.ts";
import { bytes, includes, NAMES, PROVIDERS, withContexts, wrap } from "../support/gss.ts";
import { inRealm, noRealm } from "../support/kerberos.ts";

const skip = noRealm;
const PLAIN = bytes("attack at dawn");

function signed(context: ProviderContext, plain: Uint8Array): Uint8Array {
  return context.wrapUnencrypted!(plain, new Uint8Array(plain.length + context.maxOverhead));
}

/** Checks that a copy of `record` is refused and zeroed. */
function refuses(open: (copy: Uint8Array) => unknown, record: Uint8Array, what: string): ProtocolError {
  const copy = record.slice();
  const error = assertThrows(() => open(copy), ProtocolError);
  assert(copy.every((byte) => byte === 0), `${what}: the refused data can still be read`);
  return error;
}

for (const name of NAMES) {
  const options = { provider: PROVIDERS[name] };

  test(
    `${name}: wrapUnencrypted() signs, and only unwrapAny() accepts the record`,
    () =>
      inRealm((_, system) =>
        withContexts(system, options, ({ client, server }) => {
          for (const [from, to] of [[client, server], [server, client]]) {
            const record = signed(from, PLAIN);
            assert(includes(record, PLAIN), "a signed message is readable");
            const { data, encrypted } = to.unwrapAny!(record.slice());
            assertEquals([data, encrypted], [PLAIN, false]);
            const sealed = wrap(from, PLAIN);
            assert(!includes(sealed, PLAIN));
            assertEquals(to.unwrapAny!(sealed), { data: PLAIN, encrypted: true });
            const { reason } = refuses(
              (copy) => to.unwrap(copy),
              signed(from, PLAIN),
              "unwrap of a signed message",
            );
            assertEquals(reason, "not-encrypted");
          }
        })
      ),
    { skip },
  );

  test(
    `${name}: unwrapAny() refuses a signed message with any byte changed`,
    () =>
      inRealm((_, system) =>
        withContexts(system, options, ({ client, server }) => {
          const record = signed(client, PLAIN);
          for (let at = 0; at < record.length; at++) {
            const changed = record.slice();
            changed[at] ^= 1;
            refuses((copy) => server.unwrapAny!(copy), changed, `byte ${at}`);
          }
          assertEquals(server.unwrapAny!(record).data, PLAIN);
          refuses((copy) => server.unwrapAny!(copy), record, "the same message a second time");
        })
      ),
    { skip },
  );

  test(
    `${name}: wrapSizeLimit() returns the most that fits, encrypted and signed`,
    () =>
      inRealm((_, system) =>
        withContexts(system, options, ({ client }) => {
          for (const limit of [100, 1000, 4096, 65_535]) {
            for (const encrypt of [true, false]) {
              const seal = (size: number): number => {
                const plain = new Uint8Array(size);
                return (encrypt ? wrap(client, plain) : signed(client, plain)).length;
              };
              const size = client.wrapSizeLimit!(limit, encrypt);
              assert(size > 0 && seal(size) <= limit, `${size} bytes do not fit ${limit}`);
              assert(seal(size + 1) > limit, `${size + 1} bytes fit ${limit}, too`);
            }
          }
          assertEquals([client.wrapSizeLimit!(0, true), client.wrapSizeLimit!(20, false)], [0, 0]);
          for (const wrong of [-1, 1.5, NaN, 2 ** 32, Infinity]) {
            assertThrows(() => client.wrapSizeLimit!(wrong, true), RangeError, "recordBytes");
          }
        })
      ),
    { skip },
  );

  for (const confidentiality of [true, false]) {
    const requirements = { confidentiality };
    test(
      `${name}: wrapDetached() and unwrapDetached() work in place, ${confidentiality ? "sealed" : "signed"}`,
      () =>
        inRealm((_, system) =>
          withContexts(system, { ...options, requirements }, ({ client, server }) => {
            for (const size of [1, 15, 16, 17, 5000]) {
              const plain = Uint8Array.from({ length: size }, (_, at) => at);
              const data = plain.slice();
              const header = client.wrapDetached!(data);
              if (size > 15) assertEquals(includes(data, plain), !client.attributes.confidentiality);
              const kept = header.slice();
              const changed = header.slice();
              changed[changed.length - 1] ^= 1;
              refuses((copy) => server.unwrapDetached!(changed, copy), data, "a changed header");
              const altered = data.slice();
              altered[0] ^= 1;
              refuses((copy) => server.unwrapDetached!(header, copy), altered, "changed data");
              assertEquals(server.unwrapDetached!(header, data), plain);
              assertEquals(header, kept, "the header is the caller's");
            }
            assertThrows(() => client.wrapDetached!(new Uint8Array()), RangeError, "data");
          })
        ),
      { skip },
    );
  }
}
