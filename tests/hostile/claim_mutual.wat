;; Claims mutual authentication, which it does not offer.
;; Expect: ProviderTrapError mutualAuthentication
;; At: step
(module
  {{canned}}
  (data (i32.const 0x3000) "\28\00\00\00" "\00\00\00\00\1f\00\00\00\01\06\00\00\00\63\61\6e\6e\65\64\04\00\00\00\70\65\65\72\00\00\00\00\00\00\00\00\00\10\00\00\00"))
