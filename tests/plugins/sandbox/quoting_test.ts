/** Names a module chose, in the messages of errors: short, and without what would forge or hide a line. */

import { assert, assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import { ProviderRejectedError } from "../../../errors.ts";
import { parseDescription } from "../../../plugins/sandbox/description.ts";
import { quoted } from "../../../plugins/sandbox/wire.ts";
import { guardAny } from "../../support/guarding.ts";
import { compileWat } from "../../support/wat.ts";

const FORGED = "x\u2028\u202eerror: all is well\u200b";
const LONG = "n".repeat(100_000);

function messageOf(fn: () => unknown): string {
  const { message } = assertThrows(fn, ProviderRejectedError);
  assert(!/[\p{Cc}\p{Cf}\u2028\u2029]/u.test(message), "it holds what is not seen");
  assert(message.length < 400, `it has ${message.length} characters`);
  return message;
}

/** A module that imports `imported`, or exports a global as `exported`. */
function module({ imported, exported }: { imported?: string; exported?: string }): Uint8Array<ArrayBuffer> {
  return compileWat(
    "names.wat",
    `(module ${imported ? `(import "host" "${imported}" (func))` : ""} (memory (export "memory") 1)
      ${exported ? `(global (export "${exported}") i32 (i32.const 0))` : ""} (func))`,
  );
}

for (const [what, name] of [["forged", FORGED], ["long", LONG]]) {
  test(`a ${what} name of an import, an export or a key is quoted in a message that stays one short line`, () => {
    messageOf(() => guardAny(module({ imported: name })));
    messageOf(() => guardAny(module({ exported: `__guard_${name}` })));
    messageOf(() => parseDescription(JSON.stringify({ [name]: 1 })));
  });
}

test("a name of usual length is quoted unchanged", () => {
  assertEquals(quoted("host.exit"), '"host.exit"');
  assertEquals(quoted('a"b'), '"a\\"b"');
});
