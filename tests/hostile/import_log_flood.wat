;; Logs a thousand lines in every call, each with line breaks and control characters to forge other lines.
;; Expect: nothing
;; At: close
;; Grants: log
(module
  (import "host" "log" (func $log (param i32 i32 i32)))
  {{canned_that_logs}}
  (func (export "call") (param $request i32) (param $length i32) (result i64) (local $i i32)
    (loop $more
      (call $log (i32.const 2) (i32.const 0xb000) (i32.const 5))
      (br_if $more (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 1000))))
    (call $answer (local.get $request) (local.get $length)))
  (data (i32.const 0xb000) "a\0ab\1bc"))
