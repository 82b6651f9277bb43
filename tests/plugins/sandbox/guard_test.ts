import { assert, assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import fc from "fast-check";
import { ProviderRejectedError } from "../../../errors.ts";
import { ByteReader, ByteWriter, signed, unsigned } from "../../../plugins/sandbox/bytes.ts";
import { DEFAULT_LIMITS, resolveLimits } from "../../../plugins/sandbox/limits.ts";
import { Counter } from "../../../plugins/sandbox/counter.ts";
import { guardAny, instantiate, outcomeOf } from "../../support/guarding.ts";
import { compileWat } from "../../support/wat.ts";

function wat(body: string, extra: readonly string[] = []): Uint8Array<ArrayBuffer> {
  return compileWat("test", `(module (memory (export "memory") 1) ${body} (func))`, extra);
}

function refusal(module: Uint8Array, rules: Parameters<typeof guardAny>[1] = {}): ProviderRejectedError {
  return assertThrows(() => guardAny(module, rules), ProviderRejectedError);
}

/** The fuel one call of `run` takes. */
function fuelOf(module: Uint8Array<ArrayBuffer>, ...parameters: number[]): number {
  const exports = instantiate(guardAny(module).bytes);
  exports.fuel.value = 1_000_000_000;
  exports.run(...parameters);
  return 1_000_000_000 - exports.fuel.value;
}

test("unsigned integers of 32 bits are read as they were written, and none longer", () => {
  fc.assert(fc.property(fc.nat(0xffffffff), fc.uint8Array({ maxLength: 4 }), (value, rest) => {
    const bytes = Uint8Array.from([...unsigned(value), ...rest]);
    const reader = new ByteReader(bytes, 0, bytes.length);
    assertEquals(reader.u32(), value);
    assertEquals(reader.left.length, rest.length);
  }));
});

test("padded integers are read, those of over 32 bits are not", () => {
  const read = (...bytes: number[]) => new ByteReader(Uint8Array.from(bytes), 0, bytes.length).u32();
  assertEquals(read(0x83, 0x80, 0x80, 0x80, 0x00), 3);
  assertEquals(read(0xff, 0xff, 0xff, 0xff, 0x0f), 0xffffffff);
  for (const bytes of [[0xff, 0xff, 0xff, 0xff, 0x1f], [0x80, 0x80, 0x80, 0x80, 0x80, 0x00], [0x80]]) {
    assertThrows(() => read(...bytes), ProviderRejectedError, "malformed");
  }
});

test("signed integers are written so that the engine reads them back", () => {
  fc.assert(fc.property(fc.integer(), (value) => {
    const body = [0, 0x41, ...signed(value), 0x0b];
    const module = new ByteWriter().bytes([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0])
      .bytes([1, 5, 1, 0x60, 0, 1, 0x7f, 3, 2, 1, 0, 7, 5, 1, 1, 0x66, 0, 0])
      .bytes([10]).sized([1, ...unsigned(body.length), ...body]).written;
    assertEquals(instantiate(module.slice()).f(), value);
  }));
});

test("memory and table get the host's maximum if the module has none or a larger one", () => {
  const limits = resolveLimits({ memoryPages: 3, tableEntries: 2 });
  const maximum = (declared: string) =>
    guardAny(compileWat("m", `(module (memory (export "memory") ${declared}) (func))`), { limits }).memory;
  assertEquals(maximum("1"), { initialPages: 1, maximumPages: 3 });
  assertEquals(maximum("1 2"), { initialPages: 1, maximumPages: 2 });
  assertEquals(maximum("3 100"), { initialPages: 3, maximumPages: 3 });
  const grow = wat(`(func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))`);
  const exports = instantiate(guardAny(grow, { limits }).bytes);
  exports.fuel.value = 1_000_000;
  assertEquals([exports.grow(1), exports.grow(1), exports.grow(1), exports.grow(0)], [1, 2, -1, 3]);
  const table = wat(`(table (export "t") 1 funcref)`);
  const { t } = instantiate(guardAny(table, { limits }).bytes) as unknown as { t: WebAssembly.Table };
  assertEquals(t.grow(1), 1);
  assertThrows(() => t.grow(1), RangeError);
});

test("a module at a limit is accepted, one beyond it is not", () => {
  const module = wat("(table 5 funcref)");
  const limited = (limits: object) => ({ limits: resolveLimits(limits) });
  guardAny(module, limited({ moduleBytes: module.length, tableEntries: 5, memoryPages: 1 }));
  assertEquals(refusal(module, limited({ moduleBytes: module.length - 1 })).rule, "module-size");
  assertEquals(refusal(module, limited({ tableEntries: 4 })).rule, "table");
});

test("failed growth is counted for the host, growth by nothing and success are not", () => {
  const module = wat(`(func (export "run") (param i32) (drop (memory.grow (local.get 0))))`);
  const exports = instantiate(guardAny(module).bytes);
  for (const [pages, expected] of [[0, 0], [1, 0], [100_000, 1], [-1, 1]]) {
    exports.fuel.value = 1_000_000;
    exports.run(pages);
    assertEquals(exports[Counter.failures](0), expected);
  }
});

test("fuel is used up by the same amount with each turn of a loop", () => {
  const module = wat(`(func (export "run") (param i32)
    (loop $l (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))`);
  const [one, two, thousand] = [fuelOf(module, 1), fuelOf(module, 2), fuelOf(module, 1000)];
  assert(two > one);
  assertEquals(thousand - one, 999 * (two - one));
});

test("bulk memory instructions cost fuel by the bytes they move", () => {
  const module = wat(
    `(func (export "run") (param i32) (memory.fill (i32.const 0) (i32.const 1) (local.get 0)))`,
  );
  assertEquals(fuelOf(module, 8000) - fuelOf(module, 0), 1000);
});

test("a function with more variables costs more to enter", () => {
  const entered = (locals: string) => fuelOf(wat(`(func (export "run") (local ${locals}))`));
  assertEquals(entered("i64 ".repeat(400)) - entered("i32"), 99);
});

/** Counts parameter 0 down to zero, with `more` in each turn. */
const countDown = (more: string) =>
  `(loop $l ${more} (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))`;

test("a loop that has the counter in a local variable is charged as one that has it in the global", () => {
  const run = (more: string) => wat(`(func $f) (func (export "run") (param i32) ${countDown(more)})`);
  const own = fuelOf(run(""), 1000);
  // Division, 12, is among what a loop with a variable must not contain; with its operands and drop it costs 15.
  assertEquals(fuelOf(run("(drop (i32.div_u (i32.const 1) (i32.const 1)))"), 1000) - own, 15 * 1000);
  assertEquals(fuelOf(run("(drop (i64.rem_s (i64.const 1) (i64.const 1)))"), 1000) - own, 27 * 1000);
  assertEquals(fuelOf(run("(drop (i32.add (i32.const 1) (i32.const 1)))"), 1000) - own, 4 * 1000);
});

test("a loop is charged for each of its turns, whatever leaves it", () => {
  const last = "(i32.eq (local.get 0) (i32.const 1))";
  const ways: Record<string, string> = {
    "its end": countDown(""),
    "br_if": `(block $out ${countDown(`(br_if $out ${last})`)})`,
    "br": `(block $out ${countDown(`(if ${last} (then (br $out)))`)})`,
    "br from a block": `(block $out ${countDown(`(block (br_if $out ${last}))`)})`,
    "br_table": `(block $out ${countDown(`(block $on (br_table $on $out ${last}))`)})`,
    "return": countDown(`(if ${last} (then (return)))`),
    "a br within it": countDown(`(block $in (br_if $in ${last}))`),
    "the end of an if": `(if (local.get 0) (then ${countDown("")}))`,
    "the end of a loop in it": countDown(`(local.set 1 (i32.const 2))
      (loop $m (br_if $m (local.tee 1 (i32.sub (local.get 1) (i32.const 1)))))`),
    "a call in it": countDown("(call $f)"),
    "memory.fill in it": countDown("(memory.fill (i32.const 0) (i32.const 0) (i32.const 0))"),
    "memory.grow in it": countDown("(drop (memory.grow (i32.const 0)))"),
  };
  for (const [way, body] of Object.entries(ways)) {
    const module = wat(`(func $f) (func (export "run") (param i32) (local i32) ${body} (call $f))`);
    const [two, three, thousand] = [fuelOf(module, 2), fuelOf(module, 3), fuelOf(module, 1000)];
    assert(three > two, way);
    assertEquals(thousand - three, 997 * (three - two), way);
    const exports = instantiate(guardAny(module).bytes);
    exports.fuel.value = thousand;
    exports.run(1000);
    assertEquals(exports.fuel.value, 0, way);
    exports.fuel.value = thousand - 1;
    assertEquals(outcomeOf(() => exports.run(1000)), "trap divide by zero", way);
    assert(exports.fuel.value < 0, way);
  }
});

test("two loops one after the other share one variable, and compute what they did", () => {
  const module = wat(`(func (export "run") (param i32) (result i64) (local $a i64) (local $b i32)
    (local.set $b (local.get 0)) ${countDown("(local.set $a (i64.add (local.get $a) (i64.const 3)))")}
    (local.set 0 (local.get $b)) ${countDown("(local.set $a (i64.add (local.get $a) (i64.const 1)))")}
    (local.get $a))`);
  const needed = fuelOf(module, 100);
  const exports = instantiate(guardAny(module).bytes);
  exports.fuel.value = needed;
  assertEquals([exports.run(100), exports.fuel.value], [400n, 0]);
});

test("exactly enough fuel is enough, one unit less is not", () => {
  const module = wat(`(func (export "run") (result i32) (i32.add (i32.const 1) (i32.const 2)))`);
  const needed = fuelOf(module);
  const exports = instantiate(guardAny(module).bytes);
  exports.fuel.value = needed;
  assertEquals(exports.run(), 3);
  assertEquals(exports.fuel.value, 0);
  exports.fuel.value = needed - 1;
  assertEquals(outcomeOf(() => exports.run()), "trap divide by zero");
});

test("custom sections are removed, and the module's own exports, data and table remain", () => {
  const module = wat(`
    (global (export "g") i32 (i32.const 42))
    (func $f (export "f") (result i32) (i32.load8_u (i32.const 5)))
    (table funcref (elem $f))
    (type $t (func (result i32)))
    (func (export "through") (result i32) (call_indirect (type $t) (i32.const 0)))
    (data (i32.const 5) "\\07")`);
  const { bytes, exports: names } = guardAny(module);
  assertEquals(names, ["memory", "g", "f", "through"]);
  const exports = instantiate(bytes);
  exports.fuel.value = 1000;
  assertEquals([exports.f(), exports.through()], [7, 7]);
  assertEquals((exports as unknown as Record<string, { value: number }>).g.value, 42);
});

test("imports of the host are reported, each once", () => {
  const module = compileWat(
    "imports",
    `(module
      (import "host" "clock" (func (result i64)))
      (import "host" "clock" (func (result i64)))
      (import "host" "random" (func (param i32 i32)))
      (memory (export "memory") 1)
      (func))`,
  );
  assertEquals(guardAny(module).imports, ["clock", "random"]);
});

test("a refusal contains the offset of the instruction or declaration", () => {
  const module = wat(`(func (drop (ref.null func)))`, ["reference_types"]);
  const { rule, offset, message } = refusal(module);
  assertEquals([rule, module[offset]], ["gc", 0xd0]);
  assert(message.includes(`at byte ${offset} (gc)`), message);
});

test("guard() does not change the module it was given", () => {
  const module = wat(`(func (export "run") (loop))`);
  const before = Uint8Array.from(module);
  guardAny(module);
  assertEquals(module, before);
});

test("limits out of range, unknown or of the wrong type are refused by name", () => {
  assertEquals(resolveLimits(), DEFAULT_LIMITS);
  assertEquals(resolveLimits({ fuel: undefined, memoryPages: 2 }), { ...DEFAULT_LIMITS, memoryPages: 2 });
  assertThrows(() => resolveLimits({ fuel: 0 }), RangeError, "limits.fuel is 0");
  assertThrows(() => resolveLimits({ fuel: 2 ** 31 }), RangeError, "limits.fuel");
  assertThrows(() => resolveLimits({ memoryPages: 1.5 }), RangeError, "limits.memoryPages");
  assertThrows(() => resolveLimits({ fuel: NaN }), RangeError, "limits.fuel");
  assertThrows(
    () => resolveLimits({ fuel: "1" as unknown as number }),
    TypeError,
    "limits.fuel must be a number",
  );
  assertThrows(() => resolveLimits({ time: 1 } as object), TypeError, "limits.time is not known");
  assertThrows(() => resolveLimits(null as unknown as object), TypeError, "limits must be an object");
});
