;; memory.init from a segment that was dropped.
;; Expect: ProviderTrapError trapped
;; At: load
(module
  (memory (export "memory") 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (data $d "data")
  (func (export "call") (param i32 i32) (result i64) (local $i i32)
    (data.drop $d) (memory.init $d (i32.const 0) (i32.const 0) (i32.const 4))
    (i64.const 0)))
