;; Wants a function no host has.
;; Expect: ProviderRejectedError import
;; At: load
;; Grants: random clock log
(module
  (import "host" "exit" (func (param i32)))
  (memory (export "memory") 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "call") (param i32 i32) (result i64) (i64.const 0))
)
