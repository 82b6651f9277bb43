;; Claims a mechanism that looks like a built-in one.
;; Expect: ProviderTrapError nt1m
;; At: step
(module
  {{canned}}
  (data (i32.const 0x3000) "\26\00\00\00" "\00\00\00\00\1e\00\00\00\01\04\00\00\00nt1m\04\00\00\00peer\00\00\00\00\00\00\00\00\00\10\00\00\00"))
