;; An error for a reason that does not exist.
;; Expect: ProviderTrapError reason
;; At: acquire
(module
  {{canned}}
  (data (i32.const 0x1400) "\0b\00\00\00" "\01\00\00\00\01\ff\00\00\00\00\00"))
