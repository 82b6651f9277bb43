;; A peer's name that is not UTF-8.
;; Expect: ProviderTrapError UTF-8
;; At: step
(module
  {{canned}}
  (data (i32.const 0x3000) "\26\00\00\00" "\00\00\00\00\1e\00\00\00\01\06\00\00\00\63\61\6e\6e\65\64\02\00\00\00\ff\fe\00\00\00\00\00\00\00\00\00\10\00\00\00"))
