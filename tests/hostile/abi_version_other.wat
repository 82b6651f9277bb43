;; Speaks another version of the ABI.
;; Expect: ProviderRejectedError abi-version
;; At: load
(module
  (memory (export "memory") 1)
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "call") (param i32 i32) (result i64) (i64.const 0))
  (func (export "abi_version") (result i32) (i32.const 3)))
