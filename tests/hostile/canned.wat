;; The body of a module that answers each operation with bytes that stand ready, and is in order as it stands.
;; A hostile file that begins with it puts other bytes in their place: the data segment that comes last counts.
;;
;; The answer to operation N stands at 0x1000 + N * 0x400: its length (u32), then the answer. The session key
;; stands where operation 10 would. Requests go to 0x4000, answers are copied to 0x8000 (so that they may be wiped).

(memory (export "memory") 1)
(func (export "abi_version") (result i32) (i32.const 1))
(func (export "alloc") (param $length i32) (result i32) (i32.const 0x4000))
(func $answer (export "call") (param $request i32) (param $length i32) (result i64)
  (local $from i32)
  (local.set $from (i32.add (i32.const 0x1000) (i32.mul (i32.load (local.get $request)) (i32.const 0x400))))
  ;; query for the session key
  (if (i32.and (i32.eq (i32.load (local.get $request)) (i32.const 8)) (i32.eq (i32.load offset=4 (local.get $request)) (i32.const 2)))
    (then (local.set $from (i32.const 0x3800))))
  ;; where no answer stands ready it never returns
  (if (i32.eqz (i32.load (local.get $from))) (then (loop $for_ever (br $for_ever))))
  (memory.copy (i32.const 0x8000) (i32.add (local.get $from) (i32.const 4)) (i32.load (local.get $from)))
  (i64.or (i64.const 0x800000000000) (i64.extend_i32_u (i32.load (local.get $from)))))

;; 0 describe
(data (i32.const 0x1000) "\87\01\00\00" "\00\00\00\00"
  "{\"abi\":1,\"name\":\"canned\",\"version\":\"1.0.0\",\"layer\":\"context\",\"imports\":[],"
  "\"offers\":{\"integrity\":true,\"confidentiality\":true,\"mutualAuthentication\":false,"
  "\"impersonation\":\"identify\",\"delegation\":false},"
  "\"credentials\":{\"client\":[\"password\"]},"
  "\"questions\":[{\"name\":\"colour\",\"roles\":[\"client\"],\"fields\":[{\"name\":\"of\",\"type\":\"text\"}],"
  "\"answers\":[{\"name\":\"is\",\"type\":\"bytes\"}],\"doc\":\"A colour.\"}]}")
;; 1 acquire
(data (i32.const 0x1400) "\04\00\00\00" "\00\00\00\00")
;; 2 step: done, no token
(data (i32.const 0x1800) "\06\00\00\00" "\00\00\00\00" "\01" "\00")
;; 3 resume: the same
(data (i32.const 0x1c00) "\06\00\00\00" "\00\00\00\00" "\01" "\00")
;; 4 wrap
(data (i32.const 0x2000) "\0a\00\00\00" "\00\00\00\00" "sealed")
;; 5 unwrap: encrypted, plain text "open"
(data (i32.const 0x2400) "\0c\00\00\00" "\00\00\00\00" "\01\00\00\00" "open")
;; 6 sign
(data (i32.const 0x2800) "\08\00\00\00" "\00\00\00\00" "sign")
;; 7 verify
(data (i32.const 0x2c00) "\04\00\00\00" "\00\00\00\00")
;; 8 query: integrity, confidentiality, replay, sequence; identify; mechanism, peer, no target, no end, overhead 16
(data (i32.const 0x3000) "\28\00\00\00" "\00\00\00\00" "\1e\00\00\00" "\01" "\06\00\00\00canned" "\04\00\00\00peer"
  "\00" "\00\00\00\00\00\00\00\00" "\10\00\00\00")
;; 9 release
(data (i32.const 0x3400) "\04\00\00\00" "\00\00\00\00")
;; 10 the session key
(data (i32.const 0x3800) "\0c\00\00\00" "\00\00\00\00" "\04\00\00\00" "keys")
