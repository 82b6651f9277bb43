/**
 * Endless loops of what costs most for its fuel. Where one lasts much longer than the others, the costs in
 * plugins/sandbox/opcodes.ts are wrong.
 *
 * @module
 */

const RANDOM = "(local.tee $i (i32.add (i32.mul (local.get $i) (i32.const 1664525)) (i32.const 1013904223)))";

function loop(body: string, more = "", before = ""): string {
  return `(module
    (memory (export "memory") 64)
    ${more}
    (func (export "abi_version") (result i32) (i32.const 1))
    (func (export "alloc") (param i32) (result i32) (i32.const 8))
    (func (export "call") (param i32 i32) (result i64)
      (local $i i32) (local $j i32) (local $x i64) (local $f f64)
      ${before}
      (loop $l {{8 ${body}}} (br $l))
      (i64.const 0)))`;
}

const table = `(type $t (func)) (table funcref (elem $a $b $c $d))
  ${
  ["a", "b", "c", "d"].map((name, at) => `(func $${name} (i32.store (i32.const ${at}) (i32.const 1)))`).join(
    "\n",
  )
}`;

/** The loops, as WebAssembly text. */
export const SLOW_LOOPS: Readonly<Record<string, string>> = {
  "nothing": loop("(nop)"),
  "multiplication, rotation": loop(
    "(local.set $x (i64.rotl (i64.mul (i64.xor (local.get $x) (i64.const 7)) (i64.const 6364136223846793005)) (i64.const 13)))",
  ),
  "division": loop("(local.set $x (i64.div_u (i64.const -15) (i64.or (local.get $x) (i64.const 3))))"),
  "square root": loop("(local.set $f (f64.sqrt (f64.add (local.get $f) (f64.const 1.7))))"),
  "float to integer and back": loop(
    "(local.set $f (f64.convert_i64_u (i64.trunc_sat_f64_u (f64.add (local.get $f) (f64.const 1)))))",
  ),
  "loads that miss the cache": loop(
    "(local.set $i (i32.load (i32.and (local.get $i) (i32.const 0x3ffffc))))",
    "",
    `(loop $fill
      (i32.store (local.get $j) (i32.mul (i32.add (local.get $j) (i32.const 0x9e3779)) (i32.const 0x9e3779b1)))
      (br_if $fill (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 4))) (i32.const 0x3ffff0))))`,
  ),
  "stores that miss the cache": loop(`(i64.store (i32.and ${RANDOM} (i32.const 0x3ffff8)) (i64.const 1))`),
  "branches nobody foresees": loop(
    `(if (i32.lt_s ${RANDOM} (i32.const 0)) (then (local.set $j (i32.add (local.get $j) (local.get $i)))))`,
  ),
  "calls": loop("(call $f)", "(func $f)"),
  "indirect calls nobody foresees": loop(
    `(call_indirect (type $t) (i32.and (i32.shr_u ${RANDOM} (i32.const 9)) (i32.const 3)))`,
    table,
  ),
  "memory.fill of nothing": loop("(memory.fill (i32.const 0) (i32.const 1) (i32.const 0))"),
  "memory.fill of all": loop("(memory.fill (i32.const 0) (i32.const 1) (i32.const 0x400000))"),
  "memory.copy of all": loop("(memory.copy (i32.const 0) (i32.const 1) (i32.const 0x3ffff0))"),
  "memory.init of little": loop(
    "(memory.init $d (i32.const 1) (i32.const 0) (i32.const 10))",
    '(data $d "0123456789")',
  ),
  "memory.grow of nothing": loop("(drop (memory.grow (i32.const 0)))"),
  "memory.grow beyond the limit": loop("(drop (memory.grow (i32.const 1000)))"),
};
