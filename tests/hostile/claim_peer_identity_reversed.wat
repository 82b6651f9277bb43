;; A user's name with a character that turns the writing round.
;; Expect: ProviderTrapError control
;; At: step
(module
  {{canned_of_version_two}}
  (data (i32.const 0x5400) "\17\00\00\00" "\00\00\00\00" "\01\01" "\04\00\00\00a\e2\80\ae" "\00\00\00\00" "\00\00\00\00\00"))
