;; A token whose length reaches one byte beyond the answer.
;; Expect: ProviderTrapError announced
;; At: step
(module
  {{canned}}
  (data (i32.const 0x1800) "\0c\00\00\00" "\00\00\00\00\01\01\03\00\00\00\aa\bb"))
