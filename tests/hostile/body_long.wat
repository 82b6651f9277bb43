;; One function of a hundred thousand instructions in a row.
;; Expect: ProviderRejectedError function-size
;; At: load
(module
  (memory (export "memory") 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "call") (param i32 i32) (result i64) (local $i i32)
    {{50000 (drop (i32.const 0))}}
    (i64.const 0)))
