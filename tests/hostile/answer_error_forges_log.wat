;; An error whose message holds line breaks: they are shown as question marks.
;; Expect: AuthenticationError canned: a?b
;; At: acquire
(module
  {{canned}}
  (data (i32.const 0x1400) "\0e\00\00\00" "\01\00\00\00\01\00\03\00\00\00\61\0a\62\00"))
