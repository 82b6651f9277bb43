;; A trap when the context is closed: closing stays quiet.
;; Expect: nothing
;; At: close
(module
  {{canned}}
  (data (i32.const 0x3400) "\ff\ff\ff\7f"))
