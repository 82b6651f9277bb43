;; A socket codec written by hand: settings are the requirements' flags and the password's length, a target is its name.

(module
  (memory (export "memory") 3)
  (data (i32.const 0x100)
    "{\"abi\":1,\"name\":\"tiny-codec\",\"version\":\"1.0.0\",\"layer\":\"socket\",\"imports\":[],"
    "\"offers\":{\"integrity\":true,\"confidentiality\":true,\"mutualAuthentication\":false,"
    "\"impersonation\":\"identify\",\"delegation\":false}}")
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 0x10000))
  (func $ok (param $length i32) (result i64)
    (i32.store (i32.const 0x1000) (i32.const 0))
    (i64.or (i64.const 0x100000000000) (i64.extend_i32_u (i32.add (local.get $length) (i32.const 4)))))

  (func (export "call") (param $request i32) (param $size i32) (result i64)
    (local $operation i32) (local $length i32)
    (local.set $operation (i32.load (local.get $request)))
    (if (i32.eqz (local.get $operation))
      (then
        (memory.copy (i32.const 0x1004) (i32.const 0x100) (i32.const 203))
        (return (call $ok (i32.const 203)))))
    ;; settings: the flags, and the last word of the request
    (if (i32.eq (local.get $operation) (i32.const 32))
      (then
        (i32.store (i32.const 0x1004) (i32.load offset=4 (local.get $request)))
        (i32.store (i32.const 0x1008) (i32.load (i32.sub (i32.add (local.get $request) (local.get $size)) (i32.const 4))))
        (return (call $ok (i32.const 8)))))
    ;; target: what follows the address
    (if (i32.eq (local.get $operation) (i32.const 33))
      (then
        (local.set $length (i32.load offset=4 (local.get $request)))
        (local.set $length (i32.sub (local.get $size) (i32.add (local.get $length) (i32.const 12))))
        (memory.copy (i32.const 0x1004)
          (i32.sub (i32.add (local.get $request) (local.get $size)) (local.get $length)) (local.get $length))
        (return (call $ok (local.get $length)))))
    (if (i32.eq (local.get $operation) (i32.const 34))
      (then
        ;; template: the access mask, which stands last
        (if (i32.eq (i32.load8_u offset=4 (local.get $request)) (i32.const 1))
          (then
            (i32.store (i32.const 0x1004)
              (i32.load (i32.sub (i32.add (local.get $request) (local.get $size)) (i32.const 4))))
            (return (call $ok (i32.const 4)))))
        ;; answer: secured and encrypted are the first two bits of its first byte; mutual is unknown
        (if (i32.gt_u (local.get $size) (i32.const 5))
          (then
            (local.set $length (i32.load8_u offset=5 (local.get $request)))
            (i32.store8 (i32.const 0x1004) (i32.and (local.get $length) (i32.const 1)))
            (i32.store8 (i32.const 0x1005) (i32.and (i32.shr_u (local.get $length) (i32.const 1)) (i32.const 1)))
            (i32.store8 (i32.const 0x1006) (i32.const 2))
            (return (call $ok (i32.const 3)))))))
    ;; an error: class 4, no reason, no message, no token
    (i32.store (i32.const 0x1000) (i32.const 1))
    (i64.store (i32.const 0x1004) (i64.const 4))
    (i64.const 0x10000000000b)))
