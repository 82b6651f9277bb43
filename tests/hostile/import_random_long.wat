;; Asks for more random bytes than there are at once.
;; Expect: ProviderTrapError random bytes
;; At: load
;; Grants: random
(module
  (import "host" "random" (func $random (param i32 i32)))
  (memory (export "memory") 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "call") (param i32 i32) (result i64) (call $random (i32.const 0) (i32.const -1)) (i64.const 0)))
