;; A function of fifty thousand local variables.
;; Expect: ProviderRejectedError locals
;; At: load
(module
  (memory (export "memory") 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func $f (local {{50000 i64 }}))
  (func (export "call") (param i32 i32) (result i64) (local $i i32)
    (call $f)
    (i64.const 0)))
