;; Keeps the password of each connection and, as the peer's name, tells whatever password it finds kept from before.
;; Expect: nothing
;; At: close
(module
  {{canned_as_helper}}
  (func (export "call") (param $request i32) (param $length i32) (result i64)
    ;; acquire: before keeping the request, copy what an earlier one left behind into the peer's name
    (if (i32.eq (i32.load (local.get $request)) (i32.const 1))
      (then
        (memory.copy (i32.const 0x301b) (i32.const 0xa000) (i32.const 28))
        (memory.copy (i32.const 0xa000) (i32.sub (i32.add (local.get $request) (local.get $length)) (i32.const 28)) (i32.const 28))))
    (call $answer (local.get $request) (local.get $length)))
  (data (i32.const 0xa000) "nothing was kept from before")
  ;; the answer to query, its peer's name 28 bytes long
  (data (i32.const 0x3000) "\40\00\00\00" "\00\00\00\00" "\1e\00\00\00" "\01" "\06\00\00\00canned" "\1c\00\00\00"
    "............................" "\00" "\00\00\00\00\00\00\00\00" "\10\00\00\00"))
