;; A provider written by hand from abi.md alone, without the SDK: the smallest that plugin:check is content with.
;; Both ends say "hello". It authenticates nobody and protects nothing, and offers nothing.

(module
  (memory (export "memory") 6)
  (global $IN i32 (i32.const 0x20000))
  (global $OUT i32 (i32.const 0x40000))
  (global $ROOM i32 (i32.const 0x20000))

  ;; 0 new, 1 stepping, 2 done, 3 over
  (global $state (mut i32) (i32.const 0))
  ;; 1 client, 2 server
  (global $role (mut i32) (i32.const 0))
  (global $sent (mut i32) (i32.const 0))

  (data (i32.const 0x100)
    "{\"abi\":2,\"name\":\"tiny\",\"version\":\"1.0.0\",\"layer\":\"context\",\"imports\":[],"
    "\"also\":[\"wrapUnencrypted\",\"wrapSizeLimit\",\"peerIdentity\"],"
    "\"offers\":{\"integrity\":false,\"confidentiality\":false,\"mutualAuthentication\":false,"
    "\"impersonation\":\"anonymous\",\"delegation\":false},"
    "\"credentials\":{\"client\":[\"none\"],\"server\":[\"none\"]}}")
  (global $DESCRIPTION_LENGTH i32 (i32.const 311))
  (data (i32.const 0x400) "hello")
  ;; the messages of errors, 24 bytes each
  (data (i32.const 0x500) "this is out of turn     ")
  (data (i32.const 0x518) "the peer said no hello  ")
  (data (i32.const 0x530) "the record is malformed ")
  (data (i32.const 0x548) "the message was altered ")
  (data (i32.const 0x560) "that is not known       ")
  ;; the answer to query, behind the status: no flags, anonymous, mechanism tiny, no names, no end, overhead 1
  (data (i32.const 0x600) "\00\00\00\00" "\00" "\04\00\00\00tiny" "\00\00\00\00" "\00" "\00\00\00\00\00\00\00\00" "\01\00\00\00")

  (func (export "abi_version") (result i32) (i32.const 2))

  (func (export "alloc") (param $length i32) (result i32)
    (select (i32.const 0) (global.get $IN) (i32.gt_u (local.get $length) (global.get $ROOM))))

  ;; an answer of status ok with $length bytes behind the status
  (func $ok (param $length i32) (result i64)
    (i32.store (global.get $OUT) (i32.const 0))
    (call $answer (i32.add (local.get $length) (i32.const 4))))

  (func $answer (param $length i32) (result i64)
    (i64.or (i64.shl (i64.extend_i32_u (global.get $OUT)) (i64.const 32)) (i64.extend_i32_u (local.get $length))))

  ;; an answer of status error
  (func $error (param $class i32) (param $reason i32) (param $message i32) (result i64)
    (i32.store (global.get $OUT) (i32.const 1))
    (i32.store8 offset=4 (global.get $OUT) (local.get $class))
    (i32.store8 offset=5 (global.get $OUT) (local.get $reason))
    (i32.store offset=6 (global.get $OUT) (i32.const 24))
    (memory.copy (i32.add (global.get $OUT) (i32.const 10)) (local.get $message) (i32.const 24))
    (i32.store8 offset=34 (global.get $OUT) (i32.const 0))
    (call $answer (i32.const 35)))

  (func $outOfTurn (result i64) (call $error (i32.const 3) (i32.const 0) (i32.const 0x500)))

  ;; whether the $length bytes at $at are "hello"
  (func $isHello (param $at i32) (param $length i32) (result i32)
    (if (result i32) (i32.eq (local.get $length) (i32.const 5))
      (then (i32.and
        (i32.eq (i32.load (local.get $at)) (i32.load (i32.const 0x400)))
        (i32.eq (i32.load8_u offset=4 (local.get $at)) (i32.load8_u (i32.const 0x404)))))
      (else (i32.const 0))))

  ;; the answer of a leg that says hello
  (func $sayHello (param $done i32) (result i64)
    (i32.store8 offset=4 (global.get $OUT) (local.get $done))
    (i32.store8 offset=5 (global.get $OUT) (i32.const 1))
    (i32.store offset=6 (global.get $OUT) (i32.const 5))
    (memory.copy (i32.add (global.get $OUT) (i32.const 10)) (i32.const 0x400) (i32.const 5))
    (call $ok (i32.const 11)))

  ;; the sum of the bytes at $at
  (func $sum (param $at i32) (param $length i32) (result i32) (local $sum i32)
    (block $end (loop $next
      (br_if $end (i32.eqz (local.get $length)))
      (local.set $sum (i32.add (local.get $sum) (i32.load8_u (local.get $at))))
      (local.set $at (i32.add (local.get $at) (i32.const 1)))
      (local.set $length (i32.sub (local.get $length) (i32.const 1)))
      (br $next)))
    (local.get $sum))

  (func $describe (result i64)
    (memory.copy (i32.add (global.get $OUT) (i32.const 4)) (i32.const 0x100) (global.get $DESCRIPTION_LENGTH))
    (call $ok (global.get $DESCRIPTION_LENGTH)))

  (func $acquire (param $body i32) (result i64)
    (if (global.get $state) (then (return (call $outOfTurn))))
    (global.set $role (i32.load8_u (local.get $body)))
    (global.set $state (i32.const 1))
    (call $ok (i32.const 0)))

  (func $step (param $body i32) (result i64) (local $length i32)
    (if (i32.ne (global.get $state) (i32.const 1)) (then (return (call $outOfTurn))))
    (if (i32.and (i32.eq (global.get $role) (i32.const 1)) (i32.eqz (global.get $sent)))
      (then
        (global.set $sent (i32.const 1))
        (return (call $sayHello (i32.const 0)))))
    (if (i32.load8_u (local.get $body)) (then (local.set $length (i32.load offset=1 (local.get $body)))))
    (if (i32.eqz (call $isHello (i32.add (local.get $body) (i32.const 5)) (local.get $length)))
      (then
        (global.set $state (i32.const 3))
        (return (call $error (i32.const 1) (i32.const 13) (i32.const 0x518)))))
    (global.set $state (i32.const 2))
    (if (i32.eq (global.get $role) (i32.const 2)) (then (return (call $sayHello (i32.const 1)))))
    (i32.store8 offset=4 (global.get $OUT) (i32.const 1))
    (i32.store8 offset=5 (global.get $OUT) (i32.const 0))
    (call $ok (i32.const 2)))

  ;; a record is "*" and the plain text
  (func $wrap (param $body i32) (param $length i32) (result i64)
    (i32.store8 offset=4 (global.get $OUT) (i32.const 42))
    (memory.copy (i32.add (global.get $OUT) (i32.const 5)) (local.get $body) (local.get $length))
    (call $ok (i32.add (local.get $length) (i32.const 1))))

  (func $unwrap (param $body i32) (param $length i32) (result i64)
    (if (i32.or (i32.eqz (local.get $length)) (i32.ne (i32.load8_u (local.get $body)) (i32.const 42)))
      (then
        (global.set $state (i32.const 3))
        (return (call $error (i32.const 2) (i32.const 0) (i32.const 0x530)))))
    (i32.store offset=4 (global.get $OUT) (i32.const 0))
    (memory.copy (i32.add (global.get $OUT) (i32.const 8)) (i32.add (local.get $body) (i32.const 1))
      (i32.sub (local.get $length) (i32.const 1)))
    (call $ok (i32.add (local.get $length) (i32.const 3))))

  (func $sign (param $body i32) (param $length i32) (result i64)
    (i32.store offset=4 (global.get $OUT) (call $sum (local.get $body) (local.get $length)))
    (call $ok (i32.const 4)))

  (func $verify (param $body i32) (param $length i32) (result i64)
    (if (i32.and
      (i32.eq (i32.load (local.get $body)) (i32.const 4))
      (i32.eq (i32.load offset=4 (local.get $body))
        (call $sum (i32.add (local.get $body) (i32.const 8)) (i32.sub (local.get $length) (i32.const 8)))))
      (then (return (call $ok (i32.const 0)))))
    (call $error (i32.const 2) (i32.const 4) (i32.const 0x548)))

  ;; one byte less than the record
  (func $wrapSizeLimit (param $body i32) (result i64) (local $record i32)
    (local.set $record (i32.load (local.get $body)))
    (i32.store offset=4 (global.get $OUT)
      (select (i32.sub (local.get $record) (i32.const 1)) (i32.const 0) (local.get $record)))
    (call $ok (i32.const 4)))

  (func $query (param $body i32) (result i64)
    ;; the peer: nobody proved anything
    (if (i32.eq (i32.load (local.get $body)) (i32.const 3))
      (then
        (i32.store8 offset=4 (global.get $OUT) (i32.const 0))
        (return (call $ok (i32.const 1)))))
    (if (i32.ne (i32.load (local.get $body)) (i32.const 1))
      (then (return (call $error (i32.const 4) (i32.const 0) (i32.const 0x560)))))
    (memory.copy (i32.add (global.get $OUT) (i32.const 4)) (i32.const 0x600) (i32.const 30))
    (call $ok (i32.const 30)))

  (func $release (result i64)
    (global.set $state (i32.const 3))
    (memory.fill (global.get $IN) (i32.const 0) (global.get $ROOM))
    (call $ok (i32.const 0)))

  (func (export "call") (param $request i32) (param $size i32) (result i64)
    (local $operation i32) (local $body i32) (local $length i32)
    (local.set $operation (i32.load (local.get $request)))
    (local.set $body (i32.add (local.get $request) (i32.const 4)))
    (local.set $length (i32.sub (local.get $size) (i32.const 4)))
    (if (i32.eqz (local.get $operation)) (then (return (call $describe))))
    (if (i32.eq (local.get $operation) (i32.const 1)) (then (return (call $acquire (local.get $body)))))
    (if (i32.eq (local.get $operation) (i32.const 2)) (then (return (call $step (local.get $body)))))
    (if (i32.eq (local.get $operation) (i32.const 9)) (then (return (call $release))))
    (if (i32.gt_u (local.get $operation) (i32.const 12))
      (then (return (call $error (i32.const 4) (i32.const 0) (i32.const 0x560)))))
    (if (i32.ne (global.get $state) (i32.const 2)) (then (return (call $outOfTurn))))
    (if (i32.eq (local.get $operation) (i32.const 4))
      (then (return (call $wrap (local.get $body) (local.get $length)))))
    (if (i32.eq (local.get $operation) (i32.const 5))
      (then (return (call $unwrap (local.get $body) (local.get $length)))))
    ;; what encrypts nothing does the same by either name
    (if (i32.eq (local.get $operation) (i32.const 10))
      (then (return (call $wrap (local.get $body) (local.get $length)))))
    (if (i32.eq (local.get $operation) (i32.const 11))
      (then (return (call $unwrap (local.get $body) (local.get $length)))))
    (if (i32.eq (local.get $operation) (i32.const 12)) (then (return (call $wrapSizeLimit (local.get $body)))))
    (if (i32.eq (local.get $operation) (i32.const 6))
      (then (return (call $sign (local.get $body) (local.get $length)))))
    (if (i32.eq (local.get $operation) (i32.const 7))
      (then (return (call $verify (local.get $body) (local.get $length)))))
    (if (i32.eq (local.get $operation) (i32.const 8)) (then (return (call $query (local.get $body)))))
    (call $outOfTurn)))
