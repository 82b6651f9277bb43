;; A question where none may be asked.
;; Expect: ProviderTrapError needs
;; At: acquire
(module
  {{canned}}
  (data (i32.const 0x1400) "\0c\00\00\00" "\02\00\00\00\00\00\00\00\00\00\00\00"))
