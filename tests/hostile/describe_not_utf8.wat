;; A description that is not UTF-8.
;; Expect: ProviderTrapError UTF-8
;; At: load
(module
  {{canned}}
  (data (i32.const 0x1000) "\06\00\00\00" "\00\00\00\00" "\ff\fe"))
