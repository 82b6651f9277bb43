;; A store beyond the memory, by a huge offset.
;; Expect: ProviderTrapError trapped
;; At: load
(module
  (memory (export "memory") 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "call") (param i32 i32) (result i64) (local $i i32)
    (i64.store offset=0xffffffff (i32.const -1) (i64.const 1))
    (i64.const 0)))
