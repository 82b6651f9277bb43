;; Who the server is, where nothing proved it.
;; Expect: ProviderTrapError which nothing proved
;; At: step
(module
  {{canned_of_version_two}}
  (data (i32.const 0x5400) "\17\00\00\00" "\00\00\00\00" "\01\02" "\04\00\00\00HTTP" "\00\00\00\00" "\00\00\00\00\00"))
