;; A signature of seven hundred bytes more than it may have.
;; Expect: ProviderTrapError are allowed
;; At: sign
(module
  {{canned}}
  (data (i32.const 0x2800) "\b8\06\00\00"))
