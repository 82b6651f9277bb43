;; Burns all fuel in steps as large as it can make them, hoping that the counter wraps round.
;; Expect: ProviderLimitError fuel
;; At: load
(module
  (memory (export "memory") 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "call") (param i32 i32) (result i64) (local $i i32)
    (loop $l {{900 (memory.fill (i32.const 0) (i32.const 0) (i32.const 0x10000))}} {{2000 (drop (i64.div_u (i64.const 1) (i64.const 3)))}} (br $l))
    (i64.const 0)))
