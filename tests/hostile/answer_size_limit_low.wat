;; No data in a record, so that whoever cuts by the limit never comes to an end.
;; Expect: ProviderTrapError fit a record
;; At: wrapSizeLimit
(module
  {{canned_of_version_two}}
  (data (i32.const 0x4000) "\08\00\00\00" "\00\00\00\00" "\00\00\00\00"))
