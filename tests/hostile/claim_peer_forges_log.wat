;; A peer's name with a line break.
;; Expect: ProviderTrapError control
;; At: step
(module
  {{canned}}
  (data (i32.const 0x3000) "\27\00\00\00" "\00\00\00\00\1e\00\00\00\01\06\00\00\00\63\61\6e\6e\65\64\03\00\00\00\61\0a\62\00\00\00\00\00\00\00\00\00\10\00\00\00"))
