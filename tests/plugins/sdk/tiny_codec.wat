;; A provider of layer socket written by hand, from abi.md and the pages of the structures alone.

(module
  (memory (export "memory") 3)
  (data (i32.const 0x100)
    "{\"abi\":1,\"name\":\"tiny-codec\",\"version\":\"1.0.0\",\"layer\":\"socket\",\"imports\":[],"
    "\"offers\":{\"integrity\":true,\"confidentiality\":true,\"mutualAuthentication\":false,"
    "\"impersonation\":\"identify\",\"delegation\":false}}")
  ;; The response: a status at 0x1000, then the fields. The host leaves zeros there after each call.
  (global $OUT i32 (i32.const 0x1004))
  (func (export "abi_version") (result i32) (i32.const 1))
  (func (export "alloc") (param i32) (result i32) (i32.const 0x10000))
  (func $ok (param $length i32) (result i64)
    (i32.store (i32.const 0x1000) (i32.const 0))
    (i64.or (i64.const 0x100000000000) (i64.extend_i32_u (i32.add (local.get $length) (i32.const 4)))))

  ;; Writes the UTF-8 text at $at as UTF-16 to $to, and returns where that ends.
  (func $units (param $at i32) (param $length i32) (param $to i32) (result i32)
    (local $end i32) (local $byte i32) (local $point i32) (local $more i32)
    (local.set $end (i32.add (local.get $at) (local.get $length)))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $byte (i32.load8_u (local.get $at)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (local.set $more
          (i32.add (i32.ge_u (local.get $byte) (i32.const 0xc0))
            (i32.add (i32.ge_u (local.get $byte) (i32.const 0xe0)) (i32.ge_u (local.get $byte) (i32.const 0xf0)))))
        (local.set $point (local.get $byte))
        (if (local.get $more)
          (then (local.set $point (i32.and (local.get $byte) (i32.shr_u (i32.const 0x3f) (local.get $more))))))
        (block $read
          (loop $continue
            (br_if $read (i32.eqz (local.get $more)))
            (local.set $point
              (i32.or (i32.shl (local.get $point) (i32.const 6))
                (i32.and (i32.load8_u (local.get $at)) (i32.const 0x3f))))
            (local.set $at (i32.add (local.get $at) (i32.const 1)))
            (local.set $more (i32.sub (local.get $more) (i32.const 1)))
            (br $continue)))
        (if (i32.ge_u (local.get $point) (i32.const 0x10000))
          (then
            (i32.store16 (local.get $to)
              (i32.add (i32.const 0xd7c0) (i32.shr_u (local.get $point) (i32.const 10))))
            (local.set $to (i32.add (local.get $to) (i32.const 2)))
            (local.set $point (i32.or (i32.const 0xdc00) (i32.and (local.get $point) (i32.const 0x3ff))))))
        (i32.store16 (local.get $to) (local.get $point))
        (local.set $to (i32.add (local.get $to) (i32.const 2)))
        (br $next)))
    (local.get $to))

  ;; SOCKET_SECURITY_SETTINGS_IPSEC, from: u32 requirements, u8 level, u32 0 options, text user, text domain, u32 password
  (func $settings (param $body i32) (result i64)
    (local $at i32) (local $length i32) (local $user i32) (local $domain i32) (local $password i32)
    (i32.store (global.get $OUT) (i32.const 1)) ;; SOCKET_SECURITY_PROTOCOL_IPSEC
    ;; confidentiality, bit 2, is SOCKET_SETTINGS_GUARANTEE_ENCRYPTION, bit 1
    (i32.store offset=4 (global.get $OUT)
      (i32.and (i32.shr_u (i32.load (local.get $body)) (i32.const 1)) (i32.const 1)))
    (local.set $at (i32.add (local.get $body) (i32.const 9)))
    (local.set $length (i32.load (local.get $at)))
    (local.set $at (i32.add (local.get $at) (i32.const 4)))
    (local.set $user (call $units (local.get $at) (local.get $length) (i32.add (global.get $OUT) (i32.const 84))))
    (local.set $at (i32.add (local.get $at) (local.get $length)))
    (local.set $length (i32.load (local.get $at)))
    (local.set $at (i32.add (local.get $at) (i32.const 4)))
    (local.set $domain (call $units (local.get $at) (local.get $length) (local.get $user)))
    (local.set $password (i32.load (i32.add (local.get $at) (local.get $length))))
    (i32.store offset=72 (global.get $OUT)
      (i32.sub (local.get $user) (i32.add (global.get $OUT) (i32.const 84))))
    (i32.store offset=76 (global.get $OUT) (i32.sub (local.get $domain) (local.get $user)))
    (i32.store offset=80 (global.get $OUT) (local.get $password))
    (local.set $length (i32.sub (local.get $domain) (global.get $OUT)))
    ;; without a string, the structure ends with its padding
    (if (i32.eq (i32.add (local.get $length) (local.get $password)) (i32.const 84))
      (then (return (call $ok (i32.const 88)))))
    (call $ok (local.get $length)))

  ;; SOCKET_PEER_TARGET_NAME, from: bytes address, text name
  (func $target (param $body i32) (result i64)
    (local $address i32) (local $end i32)
    (local.set $address (i32.load (local.get $body)))
    (i32.store (global.get $OUT) (i32.const 1))
    (memory.copy (i32.add (global.get $OUT) (i32.const 8)) (i32.add (local.get $body) (i32.const 4))
      (local.get $address))
    (local.set $body (i32.add (local.get $body) (i32.add (local.get $address) (i32.const 4))))
    (local.set $end
      (call $units (i32.add (local.get $body) (i32.const 4)) (i32.load (local.get $body))
        (i32.add (global.get $OUT) (i32.const 140))))
    (i32.store offset=136 (global.get $OUT)
      (i32.sub (local.get $end) (i32.add (global.get $OUT) (i32.const 140))))
    (local.set $end (i32.sub (local.get $end) (global.get $OUT)))
    (call $ok (select (local.get $end) (i32.const 144) (i32.gt_u (local.get $end) (i32.const 144)))))

  ;; SOCKET_SECURITY_QUERY_TEMPLATE_IPSEC2, from: bytes address, u32 access, u32 watched
  (func $query (param $body i32) (result i64)
    (local $address i32)
    (local.set $address (i32.load (local.get $body)))
    (i32.store (global.get $OUT) (i32.const 2))
    (memory.copy (i32.add (global.get $OUT) (i32.const 8)) (i32.add (local.get $body) (i32.const 4))
      (local.get $address))
    (local.set $body (i32.add (local.get $body) (i32.add (local.get $address) (i32.const 4))))
    (if (i32.load offset=4 (local.get $body)) (then (return (call $unknown))))
    (i32.store offset=136 (global.get $OUT) (i32.load (local.get $body)))
    (i32.store offset=144 (global.get $OUT) (i32.const 3))
    (call $ok (i32.const 152)))

  ;; an error: class 4, no reason, no message, no token; this codec cannot watch an association
  (func $unknown (result i64)
    (i32.store (i32.const 0x1000) (i32.const 1))
    (i64.store (i32.const 0x1004) (i64.const 4))
    (i64.const 0x10000000000b))

  (func (export "call") (param $request i32) (param $size i32) (result i64)
    (local $operation i32) (local $body i32)
    (local.set $operation (i32.load (local.get $request)))
    (local.set $body (i32.add (local.get $request) (i32.const 4)))
    (if (i32.eqz (local.get $operation))
      (then
        (memory.copy (global.get $OUT) (i32.const 0x100) (i32.const 203))
        (return (call $ok (i32.const 203)))))
    (if (i32.eq (local.get $operation) (i32.const 32)) (then (return (call $settings (local.get $body)))))
    (if (i32.eq (local.get $operation) (i32.const 33)) (then (return (call $target (local.get $body)))))
    (if (i32.eq (local.get $operation) (i32.const 34)) (then (return (call $query (local.get $body)))))
    (call $unknown)))
