;; An empty signature.
;; Expect: ProviderTrapError empty
;; At: sign
(module
  {{canned}}
  (data (i32.const 0x2800) "\04\00\00\00" "\00\00\00\00"))
