;; Logs a line that lies beyond its memory.
;; Expect: ProviderTrapError its memory has
;; At: load
;; Grants: log
(module
  (import "host" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "call") (param i32 i32) (result i64) (call $log (i32.const 0) (i32.const 0xffff) (i32.const 2)) (i64.const 0)))
