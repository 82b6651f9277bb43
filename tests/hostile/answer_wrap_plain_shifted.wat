;; A sealed record that is the plain text behind a header.
;; Expect: ProviderTrapError plain text
;; At: wrap
(module
  {{canned}}
  (data (i32.const 0x2000) "\48\00\00\00" "\00\00\00\00\aa\bb\cc\dd\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50\50"))
