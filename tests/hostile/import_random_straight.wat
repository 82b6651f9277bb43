;; Asks for two hundred megabytes of randomness without any loop.
;; Expect: ProviderLimitError fuel
;; At: load
;; Grants: random
(module
  (import "host" "random" (func $random (param i32 i32)))
  (memory (export "memory") 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "call") (param i32 i32) (result i64) {{3500 (call $random (i32.const 0) (i32.const 0x10000))}} (i64.const 0)))
