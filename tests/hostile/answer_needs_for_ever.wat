;; The same question again and again.
;; Expect: ProviderTrapError too many
;; At: step
(module
  {{canned}}
  (data (i32.const 0x1800) "\11\00\00\00" "\02\00\00\00\00\00\00\00\01\00\00\00\01\00\00\00\61")
  (data (i32.const 0x1c00) "\11\00\00\00" "\02\00\00\00\00\00\00\00\01\00\00\00\01\00\00\00\61"))
