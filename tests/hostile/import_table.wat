;; Wants the host's table.
;; Expect: ProviderRejectedError import-kind
;; At: load
(module
  (import "host" "table" (table 1 funcref))
  (memory (export "memory") 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "call") (param i32 i32) (result i64) (i64.const 0))
)
