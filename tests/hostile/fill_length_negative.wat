;; memory.fill of 2^32 - 1 bytes: the charge is as large, and must not turn into a gift.
;; Expect: ProviderLimitError fuel
;; At: load
(module
  (memory (export "memory") 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "call") (param i32 i32) (result i64) (local $i i32)
    (memory.fill (i32.const 0) (i32.const 7) (i32.const -1))
    (i64.const 0)))
