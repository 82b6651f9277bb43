;; An unending loop once the context is trusted with data.
;; Expect: ProviderLimitError fuel
;; At: wrap
(module
  {{canned}}
  (data (i32.const 0x2000) "\00\00\00\00"))
