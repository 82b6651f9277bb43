;; Logs in every call; the log function of the test calls the provider again, which must not come inside the call.
;; Expect: nothing
;; At: close
;; Grants: log
(module
  (import "host" "log" (func $log (param i32 i32 i32)))
  {{canned_that_logs}}
  (func (export "call") (param $request i32) (param $length i32) (result i64)
    (call $log (i32.const 1) (i32.const 0xb000) (i32.const 2))
    (call $answer (local.get $request) (local.get $length)))
  (data (i32.const 0xb000) "hi"))
