;; A verdict with something behind it.
;; Expect: ProviderTrapError follow
;; At: verify
(module
  {{canned}}
  (data (i32.const 0x2c00) "\08\00\00\00" "\00\00\00\00\00\00\00\00"))
