;; An error in place of a description.
;; Expect: ProviderTrapError
;; At: load
(module
  {{canned}}
  (data (i32.const 0x1000) "\0a\00\00\00" "\01\00\00\00" "\03\00\00\00\00\00"))
