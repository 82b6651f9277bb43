;; Exports its memory by a name that only looks like "memory": a byte order mark stands before it.
;; Expect: ProviderRejectedError export
;; At: load
(module
  (memory (export "\ef\bb\bfmemory") 1)
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 1024))
  (func (export "call") (param i32 i32) (result i64) (i64.const 0))
)
