;; Catches everything, without a tag of its own.
;; Expect: ProviderRejectedError exceptions
;; At: load
;; Features: exceptions
(module
  (memory (export "memory") 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func $f (unreachable))
  (func (export "call") (param i32 i32) (result i64) (local $i i32)
    (try (do (call $f)) (catch_all))
    (i64.const 0)))
