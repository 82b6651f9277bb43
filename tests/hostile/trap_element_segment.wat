;; An element segment beyond the table: it traps while the instance is made.
;; Expect: ProviderTrapError could not be started
;; At: load
(module
  (memory (export "memory") 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "call") (param i32 i32) (result i64) (i64.const 0))
  (table 1 funcref)
  (func $f)
  (elem (i32.const 1) $f))
