import { assert, assertEquals, assertThrows } from "@std/assert";
import { test } from "@test";
import { ProviderLimitError, ProviderTrapError, StateError } from "../../../errors.ts";
import { GuestInstance } from "../../../plugins/sandbox/instance.ts";
import type { Limits } from "../../../plugins/sandbox/limits.ts";
import { resolveLimits } from "../../../plugins/sandbox/limits.ts";
import { guardAny } from "../../support/guarding.ts";
import { compileWat } from "../../support/wat.ts";

const REQUEST = 0x4000;
const RESPONSE = 0x8000;

/** An instance whose call runs `body`, with the request at 0x4000. */
function instance(body: string, limits: Limits = {}, more = ""): GuestInstance {
  const bytes = compileWat(
    "instance",
    `(module
      (memory (export "memory") 1)
      (func (export "abi_version") (result i32) (i32.const 1))
      (func (export "alloc") (param i32) (result i32) (i32.const ${REQUEST}))
      (func (export "call") (param $p i32) (param $n i32) (result i64) ${body})
      ${more})`,
  );
  const resolved = resolveLimits(limits);
  const guarded = guardAny(bytes, { limits: resolved });
  const module = new WebAssembly.Module(guarded.bytes);
  return new GuestInstance({ name: "test", module, guarded, limits: resolved, grants: {} });
}

/** Answers with status ok and the request behind it. */
const ECHO = `
  (memory.copy (i32.const ${RESPONSE}) (local.get $p) (local.get $n))
  (i32.store (i32.const ${RESPONSE}) (i32.const 0))
  (i64.or (i64.const ${RESPONSE}_00000000) (i64.extend_i32_u (local.get $n)))`
  .replace(`${RESPONSE}_00000000`, `0x${RESPONSE.toString(16)}00000000`);

const all = (one: GuestInstance) => one.region(0, one.memoryPages * 65_536, "all");

test("call() passes the request in and the response to read", () => {
  const one = instance(ECHO);
  const answer = one.call("wrap", Uint8Array.of(1, 2, 3), (input) => [input.u32(), ...input.rest()]);
  assertEquals(answer, [0, 1, 2, 3]);
  assert(one.fuelUsed > 0);
});

test("call() overwrites request and response once they were read; a view of them is then all zeros", () => {
  const one = instance(ECHO);
  const secret = Uint8Array.of(0xaa, 0xbb, 0xcc, 0xdd);
  const view = one.call("wrap", secret, (input) => (input.u32(), input.rest()));
  assertEquals([...view], [0, 0, 0, 0]);
  assertEquals(all(one).indexOf(0xaa), -1);
});

test("call() overwrites request and response also if reading fails", () => {
  const one = instance(ECHO);
  assertThrows(() =>
    one.call("wrap", Uint8Array.of(0xaa), () => {
      throw new TypeError("no");
    }), TypeError);
  assert(one.alive);
  assertEquals(all(one).indexOf(0xaa), -1);
});

test("drop() overwrites the whole memory, and every later call is an error of state", () => {
  const one = instance(`(i32.store (i32.const 0x100) (i32.const -1)) ${ECHO}`);
  one.call("wrap", new Uint8Array(1), () => {});
  const memory = all(one);
  assertEquals(memory[0x100], 255);
  one.drop();
  one.drop();
  assert(memory.every((byte) => byte === 0));
  assertEquals([one.alive, one.memoryPages], [false, 0]);
  assertThrows(() => one.call("wrap", new Uint8Array(1), () => {}), StateError, "dropped");
});

test("a trap overwrites the memory and drops the instance", () => {
  const one = instance(`(i32.store (i32.const 0x100) (i32.const -1)) (unreachable)`);
  const memory = all(one);
  assertThrows(
    () => one.call("wrap", new Uint8Array(1), () => {}),
    ProviderTrapError,
    "test trapped: unreachable",
  );
  assert(memory.every((byte) => byte === 0));
  assert(!one.alive);
});

test("each call has its own fuel: many calls that need half of it all succeed", () => {
  const spin =
    `(local $i i32) (loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100)))) ${ECHO}`;
  const needed = (() => {
    const one = instance(spin);
    one.call("wrap", new Uint8Array(1), () => {});
    return one.fuelUsed;
  })();
  const one = instance(spin, { fuel: needed + 10 });
  for (let i = 0; i < 20; i++) one.call("wrap", new Uint8Array(1), () => {});
  const tight = instance(spin, { fuel: needed - 1 });
  const error = assertThrows(() => tight.call("wrap", new Uint8Array(1), () => {}), ProviderLimitError);
  assertEquals([error.limit, error.value, error.unit], ["fuel", needed - 1, "units"]);
  assert(!tight.alive);
});

test("a trap in a loop is reported as what it is; only used-up fuel is a limit", () => {
  const loop = (body: string) =>
    `(local $i i32) (loop $l ${body}
    (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 100)))) ${ECHO}`;
  const error = (body: string, fuel = 1_000_000) => {
    const one = instance(loop(body), { fuel });
    const thrown = assertThrows(() => one.call("wrap", new Uint8Array(1), () => {}), Error);
    assert(!one.alive);
    return thrown;
  };
  const traps = {
    "(drop (i32.load (i32.const -1)))": "out of bounds",
    "(if (local.get $i) (then (unreachable)))": "unreachable",
    "(drop (i32.div_u (i32.const 1) (local.get $i)))": "divide by zero",
    "(drop (i32.trunc_f32_s (f32.const inf)))": "unrepresentable",
  };
  for (const [body, message] of Object.entries(traps)) {
    const thrown = error(body);
    assert(thrown instanceof ProviderTrapError && thrown.message.includes(message), thrown.message);
  }
  for (const body of ["(nop)", "(drop (i32.div_u (i32.const 1) (i32.const 2)))"]) {
    const thrown = error(body, 500);
    assert(thrown instanceof ProviderLimitError && thrown.limit === "fuel", thrown.message);
  }
});

test("call() finds memory that grows during the call at its new address", () => {
  const one = instance(`
    (drop (memory.grow (i32.const 1)))
    (i64.store (i32.const 0x10000) (i64.const 0x0706050400000000))
    (i64.const 0x1000000000008)`);
  assertEquals(one.call("wrap", new Uint8Array(9), (input) => [input.u32(), ...input.rest()]), [
    0,
    4,
    5,
    6,
    7,
  ]);
  assertEquals(one.memoryPages, 2);
  assertEquals(one.call("wrap", new Uint8Array(9), (input) => input.u32()), 0);
});

test("a request over the limit is refused before the guest sees it, and the instance stays usable", () => {
  const one = instance(ECHO, { messageBytes: 64 });
  assertThrows(
    () => one.call("wrap", new Uint8Array(61), () => {}),
    RangeError,
    "over limits.messageBytes (64)",
  );
  assertEquals(one.call("wrap", new Uint8Array(60), (input) => (input.u32(), input.rest().length)), 60);
});

test("a response over the limit, or in an impossible region, drops the instance", () => {
  const answering = (result: string) => instance(`(i64.const ${result})`, { messageBytes: 64 });
  const big = assertThrows(
    () => answering("0x800000000041").call("wrap", new Uint8Array(1), () => {}),
    ProviderLimitError,
  );
  assertEquals([big.limit, big.value, big.unit], ["messageBytes", 64, "bytes"]);
  for (
    const [result, part] of [["0xfffffff000000008", "8 bytes at 4294967280"], ["0x800000000003", "no status"]]
  ) {
    assertThrows(() => answering(result).call("wrap", new Uint8Array(1), () => {}), ProviderTrapError, part);
  }
});

test("memory that cannot grow is reported as the exceeded limit if the guest then traps", () => {
  const one = instance(
    `(if (i32.eq (memory.grow (i32.const 5)) (i32.const -1)) (then (unreachable))) ${ECHO}`,
    { memoryPages: 2 },
  );
  const error = assertThrows(() => one.call("wrap", new Uint8Array(1), () => {}), ProviderLimitError);
  assertEquals([error.limit, error.value, error.unit], ["memoryPages", 2, "pages"]);
});

test("growth that failed in an earlier call does not explain a later trap", () => {
  const one = instance(
    `(if (i32.eq (i32.load8_u offset=4 (local.get $p)) (i32.const 1)) (then (unreachable)))
     (drop (memory.grow (i32.const 5))) ${ECHO}`,
    { memoryPages: 2 },
  );
  one.call("wrap", new Uint8Array(1), () => {});
  assertThrows(() => one.call("wrap", Uint8Array.of(1), () => {}), ProviderTrapError, "unreachable");
});

test("_initialize runs once, before anything else, and under the same limits", () => {
  const one = instance(
    ECHO.replace("(i32.const 0))", "(i32.load (i32.const 0x10)))"),
    {},
    `
    (func (export "_initialize") (i32.store (i32.const 0x10) (i32.add (i32.load (i32.const 0x10)) (i32.const 7))))`,
  );
  assertEquals(one.call("wrap", new Uint8Array(1), (input) => input.u32()), 7);
  assertEquals(one.call("wrap", new Uint8Array(1), (input) => input.u32()), 7);
  assertThrows(
    () => instance(ECHO, { fuel: 1000 }, `(func (export "_initialize") (loop $l (br $l)))`),
    ProviderLimitError,
    "1000 units",
  );
});
