;; An error whose message is longer than the answer.
;; Expect: ProviderTrapError
;; At: acquire
(module
  {{canned}}
  (data (i32.const 0x1400) "\0a\00\00\00" "\01\00\00\00\01\00\ff\ff\ff\ff"))
