;; Claims a mechanism that goes on after a built-in one's name.
;; Expect: ProviderTrapError kerberos
;; At: step
(module
  {{canned}}
  (data (i32.const 0x3000) "\2d\00\00\00" "\00\00\00\00\1e\00\00\00\01\0b\00\00\00kerberos v5\04\00\00\00peer\00\00\00\00\00\00\00\00\00\10\00\00\00"))
