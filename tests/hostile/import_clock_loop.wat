;; Asks for the time without end.
;; Expect: ProviderLimitError fuel
;; At: load
;; Grants: clock
(module
  (import "host" "clock" (func $clock (result i64)))
  (memory (export "memory") 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "call") (param i32 i32) (result i64) (loop $l (drop (call $clock)) (br $l)) (i64.const 0)))
