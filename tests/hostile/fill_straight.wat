;; Thousands of memory.fill over all memory, without any loop.
;; Expect: ProviderLimitError fuel
;; At: load
(module
  (memory (export "memory") 64)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "call") (param i32 i32) (result i64)
    {{2000 (memory.fill (i32.const 0) (i32.const 7) (i32.const 0x400000))}} (i64.const 0)))
