;; An indirect call of an empty entry.
;; Expect: ProviderTrapError trapped
;; At: load
(module
  (memory (export "memory") 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (table 8 funcref)
  (func (export "call") (param i32 i32) (result i64) (local $i i32)
    (call_indirect (i32.const 3))
    (i64.const 0)))
