;; More data in a record than the record has bytes.
;; Expect: ProviderTrapError fit a record
;; At: wrapSizeLimit
(module
  {{canned_of_version_two}}
  (data (i32.const 0x4000) "\08\00\00\00" "\00\00\00\00" "\41\00\00\00"))
