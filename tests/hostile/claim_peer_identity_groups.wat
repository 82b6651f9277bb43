;; More groups than there are bytes.
;; Expect: ProviderTrapError number of groups
;; At: step
(module
  {{canned_of_version_two}}
  (data (i32.const 0x5400) "\15\00\00\00" "\00\00\00\00" "\01\01" "\01\00\00\00a" "\00\00\00\00" "\00\01" "\ff\ff\ff\ff"))
