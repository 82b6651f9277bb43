;; Recursion that is not deep but doubles at every level.
;; Expect: ProviderLimitError fuel
;; At: load
(module
  (memory (export "memory") 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func $r (param i32) (if (local.get 0) (then (call $r (i32.sub (local.get 0) (i32.const 1))) (call $r (i32.sub (local.get 0) (i32.const 1))))))
  (func (export "call") (param i32 i32) (result i64) (local $i i32)
    (call $r (i32.const 60))
    (i64.const 0)))
