;; A description that is not JSON.
;; Expect: ProviderRejectedError description
;; At: load
(module
  {{canned}}
  (data (i32.const 0x1000) "\09\00\00\00" "\00\00\00\00"
    "hello"))
