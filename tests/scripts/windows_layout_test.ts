/**
 * Holds `ffi/raw` against what a Windows C compiler said, on machines that have none: tests/golden/win64.json is
 * the answer of the layout oracle, renewed by `deno task test:windows --update-golden`.
 */

import { assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import golden from "../golden/win64.json" with { type: "json" };
import { ourTables, renew } from "../../scripts/golden.ts";
import { compareTables, oracleSource } from "../rig/windows/oracle.ts";
import { addStruct, collectConstants, type RawTables, rawTables } from "../rig/windows/raw_tables.ts";
import { struct } from "../../ffi/memory/struct.ts";

test("every struct and constant of ffi/raw is as a Windows compiler sees it", async () => {
  const { failed } = compareTables(await rawTables(), golden as Parameters<typeof compareTables>[1]);
  assertEquals(failed, []);
});

test("the compiler's answer contains nothing that ffi/raw does not have", async () => {
  const ours = await rawTables();
  for (const kind of ["structs", "constants"] as const) {
    assertEquals(Object.keys(golden[kind]).filter((name) => !Object.hasOwn(ours[kind], name)), []);
  }
});

test("every question to the compiler without a program is also a question of the program", async () => {
  const [part, whole] = [ourTables(), await rawTables()];
  assertEquals(compareTables(part, whole).failed, []);
});

test("compiled values replace saved ones, and values that ffi/raw does not have any more are removed", () => {
  const layout = (size: number) => ({ size, fields: {} });
  const kept = {
    structs: { A: layout(1), B: layout(2), GONE: layout(3) },
    constants: { C: "1", D: "2", OLD: "3" },
  };
  const compiled = { structs: { B: layout(4), NEW: layout(5) }, constants: { C: "1", D: "7" } };
  const ours = {
    structs: { A: layout(9), B: layout(9), NEW: layout(9) },
    constants: { C: "9", D: "9" },
  };
  assertEquals(renew(kept, compiled, ours), {
    tables: { structs: { A: layout(1), B: layout(4), NEW: layout(5) }, constants: { C: "1", D: "7" } },
    changed: ["B", "D"],
  });
});

test("a wrong size, offset, width or value and a missing struct are each reported separately", () => {
  const field = { offset: 0, size: 4 };
  const ours = { structs: { S: { size: 8, fields: { f: field } } }, constants: { C: "1" } };
  const changed: RawTables[] = [
    { ...ours, structs: { S: { size: 12, fields: { f: field } } } },
    { ...ours, structs: { S: { size: 8, fields: { f: { offset: 4, size: 4 } } } } },
    { ...ours, structs: { S: { size: 8, fields: { f: { offset: 0, size: 8 } } } } },
    { ...ours, structs: {} },
    { ...ours, constants: { C: "2" } },
    { ...ours, constants: {} },
  ];
  assertEquals(compareTables(ours, ours).failed, []);
  for (const compiler of changed) assertEquals(compareTables(ours, compiler).failed.length, 1);
});

test("the oracle's program asks for every struct, field and constant, and for no flexible tail's size", () => {
  const source = oracleSource({
    structs: { S: { size: 4, fields: { f: { offset: 0, size: 4 }, tail: { offset: 4, size: 0 } } } },
    constants: { C: "1", G: "25a207b9-ddf3-4660-8ee9-76e58c74063e" },
  });
  for (
    const part of [
      "static const GUID value = G;",
      'begin("S", sizeof(S))',
      "offsetof(S, f)",
      "offsetof(S, tail)",
      'constant("C", ',
    ]
  ) {
    assertEquals(source.includes(part), true, part);
  }
  assertEquals(source.includes("->tail"), false);
});

test("an export that the oracle cannot compare is an error", () => {
  const collect = (key: string, value: unknown) => {
    const into: Record<string, string> = {};
    collectConstants(`file.ts:${key}`, key, value, into);
    return into;
  };
  assertEquals(collect("A", 1), { A: "1" });
  assertEquals(collect("A", 2n ** 64n - 1n), { A: "18446744073709551615" });
  assertEquals(collect("GROUP", { A: 1, B: 2n }), { GROUP_A: "1", GROUP_B: "2" });
  assertEquals(collect("CODES", { 5: { name: "ERROR_X", advice: "" } }), { ERROR_X: "5" });
  assertEquals(collect("X_FIELDS", { a: "u32", b: ["u8", 4] }), {});
  assertEquals(collect("LIBRARY", { name: "x.dll", fns: {} }), {});
  assertEquals(Object.keys(collect("ID", "25a207b9-ddf3-4660-8ee9-76e58c74063e")), ["ID"]);
  for (const odd of ["text", true, null, { A: "text" }, { A: [1] }, { A: { B: 1 } }, [1.5, "x"]]) {
    assertThrows(() => collect("ODD", odd), TypeError, "ODD");
  }
  assertThrows(() => collect("CODES", { 1: { name: "A" }, 2: { name: "A" } }), TypeError, "A is 2 and 1");
});

test("a struct that occurs twice is compared both times", () => {
  const into: RawTables["structs"] = {};
  const one = struct("PAIR", { a: "u32", b: "u32" });
  addStruct("a.ts", one, into);
  addStruct("b.ts", struct("PAIR", { a: "u32", b: "u32" }), into);
  assertEquals(Object.keys(into), ["PAIR"]);
  const other = struct("PAIR", { a: "u32", b: "u64" });
  assertThrows(() => addStruct("c.ts", other, into), TypeError, "c.ts: PAIR");
});
