;; A question in place of a record.
;; Expect: ProviderTrapError needs
;; At: wrap
(module
  {{canned}}
  (data (i32.const 0x2000) "\0c\00\00\00" "\02\00\00\00\00\00\00\00\00\00\00\00"))
