;; The answer is shorter than a status.
;; Expect: ProviderTrapError no status
;; At: load
(module
  (memory (export "memory") 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "call") (param $p i32) (param $n i32) (result i64)
    (i64.const 0x00000400_00000003)))
