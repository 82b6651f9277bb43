;; Two functions that call each other through a table.
;; Expect: ProviderTrapError stack
;; At: load
(module
  (memory (export "memory") 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (type $t (func)) (table funcref (elem $a $b))
  (func $a (call_indirect (type $t) (i32.const 1)))
  (func $b (call_indirect (type $t) (i32.const 0)))
  (func (export "call") (param i32 i32) (result i64) (local $i i32)
    (call $a)
    (i64.const 0)))
