;; An answer about the peer that never comes.
;; Expect: ProviderLimitError fuel
;; At: step
(module
  {{canned_of_version_two}}
  (data (i32.const 0x5400) "\00\00\00\00"))
