;; Names the type that the guard is about to append, in a block.
;; Expect: ProviderRejectedError invalid
;; At: load
(module
  (memory (export "memory") 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "call") (param i32 i32) (result i64) (local $i i32)
    (i32.const 0) (block (type 3) (drop) (i32.const 0)) (drop)
    (i64.const 0)))
