;; A tail call, which loops without a loop.
;; Expect: ProviderRejectedError tail-call
;; At: load
;; Features: tail_call
(module
  (memory (export "memory") 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func $f (return_call $f))
  (func (export "call") (param i32 i32) (result i64) (local $i i32)
    (call $f)
    (i64.const 0)))
