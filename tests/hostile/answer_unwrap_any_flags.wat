;; A flag of a record that is not known.
;; Expect: ProviderTrapError record flags
;; At: unwrapAny
(module
  {{canned_of_version_two}}
  (data (i32.const 0x3c00) "\0c\00\00\00" "\00\00\00\00" "\02\00\00\00" "open"))
