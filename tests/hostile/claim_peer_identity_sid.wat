;; A SID that would compare as none.
;; Expect: ProviderTrapError SID
;; At: step
(module
  {{canned_of_version_two}}
  (data (i32.const 0x5400) "\1f\00\00\00" "\00\00\00\00" "\01\01" "\01\00\00\00a" "\00\00\00\00" "\01\07\00\00\00s-1-1-0" "\00\00\00\00"))
