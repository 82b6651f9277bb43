;; An empty session key.
;; Expect: ProviderTrapError empty
;; At: sessionKey
(module
  {{canned}}
  (data (i32.const 0x3800) "\08\00\00\00" "\00\00\00\00\00\00\00\00"))
