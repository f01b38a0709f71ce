;; 3,000 records: some computing for each (1/20 of a millisecond), a read of the clock, and a line to standard output.
(module
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 1024) "a record of sixty-four bytes, as programs write them to outputs\n")
  (func $mix (param $x i64) (result i64) (local $i i32)
    (loop $l
      (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 13))))
      (local.set $x (i64.xor (local.get $x) (i64.shr_u (local.get $x) (i64.const 7))))
      (local.set $x (i64.xor (local.get $x) (i64.shl (local.get $x) (i64.const 17))))
      (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 20000))))
    (local.get $x))
  (func (export "_start") (local $n i32) (local $x i64)
    (local.set $x (i64.const 88172645463325252))
    (i32.store (i32.const 16) (i32.const 1024))
    (i32.store (i32.const 20) (i32.const 64))
    (loop $l
      (local.set $x (call $mix (local.get $x)))
      (i64.store (i32.const 2048) (local.get $x))
      (drop (call $clock (i32.const 1) (i64.const 0) (i32.const 512)))
      (drop (call $write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24)))
      (br_if $l (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 3000))))))
