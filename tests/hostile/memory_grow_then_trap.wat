;; Cannot grow its memory and gives up.
;; Expect: ProviderLimitError memoryPages
;; At: load
(module
  (memory (export "memory") 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "call") (param i32 i32) (result i64) (local $i i32)
    (if (i32.eq (memory.grow (i32.const 1000)) (i32.const -1)) (then (unreachable)))
    (i64.const 0)))
