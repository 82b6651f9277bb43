;; A status that does not exist.
;; Expect: ProviderTrapError status
;; At: acquire
(module
  {{canned}}
  (data (i32.const 0x1400) "\04\00\00\00" "\07\00\00\00"))
