;; An error of a class that does not exist.
;; Expect: ProviderTrapError class
;; At: acquire
(module
  {{canned}}
  (data (i32.const 0x1400) "\0b\00\00\00" "\01\00\00\00\09\00\00\00\00\00\00"))
