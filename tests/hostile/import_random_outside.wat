;; Has random bytes written beyond its memory.
;; Expect: ProviderTrapError its memory has
;; At: load
;; Grants: random
(module
  (import "host" "random" (func $random (param i32 i32)))
  (memory (export "memory") 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "call") (param i32 i32) (result i64) (call $random (i32.const -8) (i32.const 16)) (i64.const 0)))
