;; memory.init without end.
;; Expect: ProviderLimitError fuel
;; At: load
(module
  (memory (export "memory") 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (data $d "0123456789abcdef")
  (func (export "call") (param i32 i32) (result i64) (local $i i32)
    (loop $l (memory.init $d (i32.const 0) (i32.const 0) (i32.const 16)) (br $l))
    (i64.const 0)))
