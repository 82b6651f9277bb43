;; Has no call.
;; Expect: ProviderRejectedError export
;; At: load
(module
  (memory (export "memory") 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
)
