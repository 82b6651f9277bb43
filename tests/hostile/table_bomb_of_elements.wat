;; More elements than the table may have, all at one place.
;; Expect: ProviderRejectedError table
;; At: load
(module
  (memory (export "memory") 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "call") (param i32 i32) (result i64) (i64.const 0))
  (table 8 funcref)
  (func $f)
  {{200 (elem (i32.const 0) $f $f $f $f $f $f $f $f)}})
