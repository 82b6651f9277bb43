;; A plain text longer than its record, from a record that need not be encrypted.
;; Expect: ProviderTrapError longer than its record
;; At: unwrapAny
(module
  {{canned_of_version_two}}
  (data (i32.const 0x3c00) "\59\00\00\00" "\00\00\00\00" "\00\00\00\00" "\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61\61"))
