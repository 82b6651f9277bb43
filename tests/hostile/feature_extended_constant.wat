;; A constant that is computed.
;; Expect: ProviderRejectedError constant
;; At: load
;; Features: extended_const
(module
  (memory (export "memory") 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "call") (param i32 i32) (result i64) (i64.const 0))
  (global i32 (i32.add (i32.const 1) (i32.const 2))))
