;; A session key of a kilobyte, it says.
;; Expect: ProviderTrapError are allowed
;; At: sessionKey
(module
  {{canned}}
  (data (i32.const 0x3800) "\08\00\00\00" "\00\00\00\00\00\04\00\00"))
