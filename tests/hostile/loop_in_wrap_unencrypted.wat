;; A wrap without encrypting that never returns.
;; Expect: ProviderLimitError fuel
;; At: wrapUnencrypted
(module
  {{canned_of_version_two}}
  (data (i32.const 0x3800) "\00\00\00\00"))
