/**
 * Holds `ffi/raw` against what a Windows C compiler said, on machines that have none: tests/golden/win64.json is
 * the answer of the layout oracle, renewed by `deno task test:windows --update-golden`.
 */

import { assertEquals } from "@std/assert";
import { test } from "@test";
import golden from "../golden/win64.json" with { type: "json" };
import winsock from "../golden/winsock.json" with { type: "json" };
import { compareTables, oracleSource } from "../../scripts/windows/oracle.ts";
import { type RawTables, rawTables } from "../../scripts/windows/raw_tables.ts";

test("every struct and constant of ffi/raw is as a Windows compiler sees it", async () => {
  const { failed } = compareTables(await rawTables(), golden as Parameters<typeof compareTables>[1]);
  assertEquals(failed, []);
});

test("what the compiler alone said of the Winsock tables is what the program it made said", () => {
  for (const kind of ["structs", "constants"] as const) {
    const [part, whole]: { [name: string]: unknown }[] = [winsock[kind], golden[kind]];
    const same = Object.fromEntries(Object.keys(part).map((name) => [name, whole[name]]));
    assertEquals(same, part);
  }
});

test("a wrong size, a wrong offset, a wrong width, a wrong value and a missing struct are each told apart", () => {
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
    constants: { C: "1" },
  });
  for (const part of ['begin("S", sizeof(S))', "offsetof(S, f)", "offsetof(S, tail)", 'constant("C", ']) {
    assertEquals(source.includes(part), true, part);
  }
  assertEquals(source.includes("->tail"), false);
});
