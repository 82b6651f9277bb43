;; A peer's name of four gigabytes, it says.
;; Expect: ProviderTrapError are allowed
;; At: step
(module
  {{canned}}
  (data (i32.const 0x3000) "\17\00\00\00" "\00\00\00\00\1e\00\00\00\01\06\00\00\00\63\61\6e\6e\65\64\ff\ff\ff\ff"))
