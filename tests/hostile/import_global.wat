;; Wants a global of the host, by a name of the guard.
;; Expect: ProviderRejectedError import-kind
;; At: load
(module
  (import "host" "__guard_refuel" (global (mut i32)))
  (memory (export "memory") 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "call") (param i32 i32) (result i64) (i64.const 0))
)
