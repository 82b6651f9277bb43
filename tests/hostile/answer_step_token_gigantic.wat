;; A token of four gigabytes, it says.
;; Expect: ProviderTrapError announced
;; At: step
(module
  {{canned}}
  (data (i32.const 0x1800) "\0a\00\00\00" "\00\00\00\00\01\01\ff\ff\ff\ff"))
