;; Reads its table.
;; Expect: ProviderRejectedError table-instruction
;; At: load
;; Features: reference_types
(module
  (memory (export "memory") 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (table $t 1 funcref)
  (func (export "call") (param i32 i32) (result i64) (local $i i32)
    (drop (table.get $t (i32.const 0)))
    (i64.const 0)))
