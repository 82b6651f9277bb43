;; Loops within loops, each of which ends, which together do not.
;; Expect: ProviderLimitError fuel
;; At: load
(module
  (memory (export "memory") 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "call") (param i32 i32) (result i64) (local $i i32)
    (local $j i32) (local $k i32)
    (loop $a (local.set $j (i32.const 0))
      (loop $b (local.set $k (i32.const 0))
        (loop $c (br_if $c (i32.lt_u (local.tee $k (i32.add (local.get $k) (i32.const 1))) (i32.const 100000))))
        (br_if $b (i32.lt_u (local.tee $j (i32.add (local.get $j) (i32.const 1))) (i32.const 100000))))
      (br $a))
    (i64.const 0)))
