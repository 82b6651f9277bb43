;; An error of the protocol that carries a token.
;; Expect: ProviderTrapError token
;; At: step
(module
  {{canned}}
  (data (i32.const 0x1800) "\10\00\00\00" "\01\00\00\00\02\00\00\00\00\00\01\01\00\00\00\aa"))
