;; An unending loop when the context is closed: closing stays quiet, and ends.
;; Expect: nothing
;; At: close
(module
  {{canned}}
  (data (i32.const 0x3400) "\00\00\00\00"))
