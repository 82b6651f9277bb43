;; Flags of a record that do not exist.
;; Expect: ProviderTrapError flags
;; At: unwrap
(module
  {{canned}}
  (data (i32.const 0x2400) "\08\00\00\00" "\00\00\00\00\02\00\00\00"))
