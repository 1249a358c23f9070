;; A plugin of which tests replace three comments: CHECK in the body of `check`, SIGN in that of `sign`, and MORE
;; among the core module's fields.
;; Zeroes at $ok are an answer that says "ok" (with an empty chain, for `sign`).
(component
  (import "wasm-issuer:plugin/types@0.1.0" (instance $types
    (type $issuer (record
      (field "kind" string) (field "namespace" (option string)) (field "name" string) (field "config" string)))
    (export "issuer" (type (eq $issuer)))
    (type $requester (record
      (field "username" string) (field "uid" string) (field "groups" (list string))
      (field "extra" (list (tuple string (list string))))))
    (export "requester" (type $requester-name (eq $requester)))
    (type $request (record
      (field "namespace" (option string)) (field "name" string) (field "uid" string) (field "csr" (list u8))
      (field "duration-seconds" u64) (field "is-ca" bool) (field "usages" (list string))
      (field "annotations" (list (tuple string string))) (field "requester" $requester-name)
      (field "resume" (option string))))
    (export "certificate-request" (type (eq $request)))
    (type $certificate (record (field "chain" string) (field "ca" (option string))))
    (export "certificate" (type (eq $certificate)))
    (type $pending (record (field "resume" (option string)) (field "poll-after-seconds" (option u32))))
    (export "pending" (type $pending-name (eq $pending)))
    (type $kind (variant
      (case "retry" (option u32)) (case "permanent") (case "issuer") (case "pending" $pending-name)))
    (export "failure-kind" (type $kind-name (eq $kind)))
    (type $status (enum "true-status" "false-status" "unknown"))
    (export "condition-status" (type $status-name (eq $status)))
    (type $condition (record
      (field "type" string) (field "status" $status-name) (field "reason" string)))
    (export "condition" (type $condition-name (eq $condition)))
    (type $failure (record
      (field "kind" $kind-name) (field "message" string) (field "condition" (option $condition-name))))
    (export "failure" (type (eq $failure)))))
  (alias export $types "issuer" (type $issuer))
  (alias export $types "certificate-request" (type $request))
  (alias export $types "certificate" (type $certificate))
  (alias export $types "failure" (type $failure))

  (import "wasi:io/poll@0.2.0" (instance $poll
    (export "pollable" (type $pollable (sub resource)))
    (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
  (alias export $poll "pollable" (type $pollable))
  (import "wasi:clocks/monotonic-clock@0.2.0" (instance $clock
    (alias outer 1 $pollable (type $outer))
    (export "pollable" (type $inner (eq $outer)))
    (export "subscribe-duration" (func (param "when" u64) (result (own $inner))))))
  (core func $subscribe (canon lower (func $clock "subscribe-duration")))
  (core func $block (canon lower (func $poll "[method]pollable.block")))

  (core module $module
    (import "host" "subscribe" (func $subscribe (param i64) (result i32)))
    (import "host" "block" (func $block (param i32)))
    (memory (export "memory") 2)
    (global $free (mut i32) (i32.const 65536))
    (global $ok i32 (i32.const 1024))
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
      (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $free) (i32.const 7)) (i32.const -8)))
      (global.set $free (i32.add (local.get $at) (local.get 3)))
      (local.get $at))
    ;; A failure of a kind without a payload, with `length` bytes of the memory from `text` as its message.
    (func $fail (param $kind i32) (param $text i32) (param $length i32) (result i32)
      (i32.store8 (i32.const 2048) (i32.const 1))
      (i32.store8 (i32.const 2052) (local.get $kind))
      (i32.store (i32.const 2076) (local.get $text))
      (i32.store (i32.const 2080) (local.get $length))
      (i32.const 2048))
    ;; MORE
    (func (export "check") (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
      ;; CHECK
      (global.get $ok))
    (func (export "sign") (param i32) (result i32)
      ;; SIGN
      (global.get $ok)))

  (core instance $instance (instantiate $module
    (with "host" (instance (export "subscribe" (func $subscribe)) (export "block" (func $block))))))
  (alias core export $instance "memory" (core memory $memory))
  (alias core export $instance "cabi_realloc" (core func $realloc))
  (func $check (param "issuer" $issuer) (result (result (error $failure)))
    (canon lift (core func $instance "check") (memory $memory) (realloc $realloc)))
  (func $sign (param "issuer" $issuer) (param "request" $request) (result (result $certificate (error $failure)))
    (canon lift (core func $instance "sign") (memory $memory) (realloc $realloc)))
  (instance $signer (export "check" (func $check)) (export "sign" (func $sign)))
  (export "wasm-issuer:plugin/signer@0.1.0" (instance $signer)))
