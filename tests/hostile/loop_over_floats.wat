;; A loop over subnormal floats, square roots and divisions, the slowest arithmetic.
;; Expect: ProviderLimitError fuel
;; At: load
(module
  (memory (export "memory") 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "call") (param i32 i32) (result i64) (local $i i32)
    (local $f f64) (local.set $f (f64.const 5e-310))
    (loop $l {{8 (local.set $f (f64.sqrt (f64.div (f64.add (local.get $f) (f64.const 3e-310)) (f64.const 1.7))))}} (br $l))
    (i64.const 0)))
