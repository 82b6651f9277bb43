;; Bytes after the last field.
;; Expect: ProviderTrapError follow
;; At: acquire
(module
  {{canned}}
  (data (i32.const 0x1400) "\05\00\00\00" "\00\00\00\00\00"))
