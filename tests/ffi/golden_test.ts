/** Holds the Winsock tables against what a C compiler says of the Windows headers (`scripts/golden.ts`). */

import { assertEquals, assertNotEquals } from "@std/assert";
import { test } from "@test";
import { FWPUCLNT } from "../../ffi/raw/fwpuclnt.ts";
import { SECURE_SOCKET_ERRORS, WINSOCK_STATUS } from "../../ffi/raw/winsock_status.ts";
import { ourTables } from "../../scripts/golden.ts";
import golden from "../golden/winsock.json" with { type: "json" };

const ours = ourTables();

test("every struct and constant of the Winsock tables was asked of the compiler, and nothing else", () => {
  assertEquals(Object.keys(ours.structs).sort(), Object.keys(golden.structs).sort());
  assertEquals(Object.keys(ours.constants).sort(), Object.keys(golden.constants).sort());
});

for (const [name, layout] of Object.entries(golden.structs)) {
  test(`the layout of ${name} is the compiler's`, () => assertEquals(ours.structs[name], layout));
}

test("every constant of the Winsock tables has the compiler's value", () => {
  assertEquals(ours.constants, golden.constants);
});

test("each of the six functions is in the table, and each of its documented errors has a name and a code", () => {
  const names = new Set(Object.values(WINSOCK_STATUS).map((entry) => entry.name));
  for (const [fn, errors] of Object.entries(SECURE_SOCKET_ERRORS)) {
    assertNotEquals((FWPUCLNT.fns as Record<string, unknown>)[fn], undefined);
    for (const error of errors) assertEquals(names.has(error), true, `${fn}: ${error}`);
  }
});
