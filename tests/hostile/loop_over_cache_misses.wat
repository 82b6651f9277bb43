;; A loop whose every load misses the cache.
;; Expect: ProviderLimitError fuel
;; At: load
(module
  (memory (export "memory") 64)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "call") (param i32 i32) (result i64) (local $i i32)
    (loop $l {{8 (local.set $i (i32.mul (i32.add (i32.load (i32.and (local.get $i) (i32.const 0x3ffffc))) (i32.add (local.get $i) (i32.const 0x9e3779))) (i32.const 0x9e3779b1)))}} (br $l))
    (i64.const 0)))
