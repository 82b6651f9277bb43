;; Claims a mechanism of another name than its own, which is shown as its own all the same.
;; Expect: nothing
;; At: close
(module
  {{canned}}
  (data (i32.const 0x3000) "\26\00\00\00" "\00\00\00\00\1e\00\00\00\01\04\00\00\00fast\04\00\00\00peer\00\00\00\00\00\00\00\00\00\10\00\00\00"))
