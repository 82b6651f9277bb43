;; A record that was only signed where encryption was agreed on.
;; Expect: ProtocolError only signed
;; At: unwrap
(module
  {{canned}}
  (data (i32.const 0x2400) "\09\00\00\00" "\00\00\00\00\00\00\00\00\aa"))
