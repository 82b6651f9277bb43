;; The one signed division that overflows.
;; Expect: ProviderTrapError trapped
;; At: load
(module
  (memory (export "memory") 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "call") (param i32 i32) (result i64) (local $i i32)
    (drop (i64.div_s (i64.const -9223372036854775808) (i64.const -1)))
    (i64.const 0)))
