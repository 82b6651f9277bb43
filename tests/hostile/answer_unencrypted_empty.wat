;; A record that is only signed, and empty.
;; Expect: ProviderTrapError empty
;; At: wrapUnencrypted
(module
  {{canned_of_version_two}}
  (data (i32.const 0x3800) "\04\00\00\00" "\00\00\00\00"))
