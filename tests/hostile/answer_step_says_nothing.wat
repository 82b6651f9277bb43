;; A leg that is neither done nor has a token.
;; Expect: ProviderTrapError neither
;; At: step
(module
  {{canned}}
  (data (i32.const 0x1800) "\06\00\00\00" "\00\00\00\00\00\00"))
