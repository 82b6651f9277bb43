;; A flag that is neither 0 nor 1.
;; Expect: ProviderTrapError flag
;; At: step
(module
  {{canned}}
  (data (i32.const 0x1800) "\06\00\00\00" "\00\00\00\00\02\00"))
