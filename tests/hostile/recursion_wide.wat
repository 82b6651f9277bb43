;; Recursion without end, each call with 900 local variables.
;; Expect: ProviderTrapError stack
;; At: load
(module
  (memory (export "memory") 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func $r (local {{900 i64 }}) (call $r))
  (func (export "call") (param i32 i32) (result i64) (local $i i32)
    (call $r)
    (i64.const 0)))
