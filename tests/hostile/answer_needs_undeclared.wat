;; A question it did not declare.
;; Expect: ProviderTrapError did not declare
;; At: step
(module
  {{canned}}
  (data (i32.const 0x1800) "\0c\00\00\00" "\02\00\00\00\05\00\00\00\00\00\00\00"))
