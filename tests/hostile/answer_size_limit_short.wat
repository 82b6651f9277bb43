;; Half of a number.
;; Expect: ProviderTrapError announced
;; At: wrapSizeLimit
(module
  {{canned_of_version_two}}
  (data (i32.const 0x4000) "\06\00\00\00" "\00\00\00\00" "\30\00"))
