;; A question with four billion fields.
;; Expect: ProviderTrapError announced
;; At: step
(module
  {{canned}}
  (data (i32.const 0x1800) "\0c\00\00\00" "\02\00\00\00\00\00\00\00\ff\ff\ff\ff"))
