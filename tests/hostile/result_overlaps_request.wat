;; The answer begins in the middle of the request.
;; Expect: ProviderTrapError overlaps
;; At: load
(module
  (memory (export "memory") 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "call") (param $p i32) (param $n i32) (result i64)
    (i64.or (i64.shl (i64.extend_i32_u (i32.add (local.get $p) (i32.const 2))) (i64.const 32)) (i64.const 64))))
