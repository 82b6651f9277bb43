;; An empty record.
;; Expect: ProviderTrapError empty
;; At: wrap
(module
  {{canned}}
  (data (i32.const 0x2000) "\04\00\00\00" "\00\00\00\00"))
