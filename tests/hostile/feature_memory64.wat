;; A memory with 64-bit addresses.
;; Expect: ProviderRejectedError memory64
;; At: load
;; Features: memory64
(module
  (memory (export "memory") i64 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "call") (param i32 i32) (result i64) (i64.const 0))
)
