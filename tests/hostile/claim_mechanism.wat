;; Claims to have authenticated with Kerberos.
;; Expect: ProviderTrapError kerberos
;; At: step
(module
  {{canned}}
  (data (i32.const 0x3000) "\2a\00\00\00" "\00\00\00\00\1e\00\00\00\01\08\00\00\00\6b\65\72\62\65\72\6f\73\04\00\00\00\70\65\65\72\00\00\00\00\00\00\00\00\00\10\00\00\00"))
