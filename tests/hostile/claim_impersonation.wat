;; Claims an impersonation level it does not offer.
;; Expect: ProviderTrapError impersonate
;; At: step
(module
  {{canned}}
  (data (i32.const 0x3000) "\28\00\00\00" "\00\00\00\00\1e\00\00\00\02\06\00\00\00\63\61\6e\6e\65\64\04\00\00\00\70\65\65\72\00\00\00\00\00\00\00\00\00\10\00\00\00"))
