;; A question with a field less than declared.
;; Expect: ProviderTrapError fields
;; At: step
(module
  {{canned}}
  (data (i32.const 0x1800) "\0c\00\00\00" "\02\00\00\00\00\00\00\00\00\00\00\00"))
