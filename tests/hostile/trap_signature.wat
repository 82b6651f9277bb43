;; An indirect call with another signature.
;; Expect: ProviderTrapError trapped
;; At: load
(module
  (memory (export "memory") 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (table funcref (elem $f))
  (func $f)
  (func (export "call") (param i32 i32) (result i64) (local $i i32)
    (drop (call_indirect (result i32) (i32.const 0)))
    (i64.const 0)))
