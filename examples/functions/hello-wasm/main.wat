;; A WASI command by hand: reads {"name": "…"} from standard input and answers {"greeting":"Hello, …!"}.
;; Needs no capability at all: its own input and output are no grants.
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 64) "{\"greeting\":\"Hello, ")
  (data (i32.const 96) "!\"}\n")
  (data (i32.const 112) "\"name\"")
  (data (i32.const 128) "world")

  ;; Where `"name"` stands in the input of length $n at 1024, or -1.
  (func $find_key (param $n i32) (result i32)
    (local $i i32) (local $k i32)
    (loop $next
      (if (i32.gt_s (i32.add (local.get $i) (i32.const 6)) (local.get $n)) (then (return (i32.const -1))))
      (local.set $k (i32.const 0))
      (block $different
        (loop $compare
          (br_if $different (i32.ne
            (i32.load8_u (i32.add (i32.const 1024) (i32.add (local.get $i) (local.get $k))))
            (i32.load8_u (i32.add (i32.const 112) (local.get $k)))))
          (local.set $k (i32.add (local.get $k) (i32.const 1)))
          (br_if $compare (i32.lt_u (local.get $k) (i32.const 6))))
        (return (local.get $i)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $next))
    (unreachable))

  (func $write (param $at i32) (param $n i32)
    (i32.store (i32.const 0) (local.get $at))
    (i32.store (i32.const 4) (local.get $n))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8))))

  (func (export "_start")
    (local $n i32) (local $i i32) (local $from i32)
    (i32.store (i32.const 0) (i32.const 1024))
    (i32.store (i32.const 4) (i32.const 65536))
    (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
    (local.set $n (i32.load (i32.const 8)))
    (call $write (i32.const 64) (i32.const 20))
    (block $named
      (block $unnamed
        (local.set $i (call $find_key (local.get $n)))
        (br_if $unnamed (i32.lt_s (local.get $i) (i32.const 0)))
        ;; Behind the key, past the colon, to the opening quote.
        (local.set $i (i32.add (local.get $i) (i32.const 6)))
        (loop $to_quote
          (br_if $unnamed (i32.ge_u (local.get $i) (local.get $n)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $to_quote (i32.ne (i32.load8_u (i32.add (i32.const 1023) (local.get $i))) (i32.const 34))))
        (local.set $from (local.get $i))
        ;; The text stays as it is, escapes included, so what was valid JSON stays valid.
        (block $closed
          (loop $to_end
            (br_if $unnamed (i32.ge_u (local.get $i) (local.get $n)))
            (br_if $closed (i32.eq (i32.load8_u (i32.add (i32.const 1024) (local.get $i))) (i32.const 34)))
            (local.set $i (i32.add (local.get $i) (select (i32.const 2) (i32.const 1)
              (i32.eq (i32.load8_u (i32.add (i32.const 1024) (local.get $i))) (i32.const 92)))))
            (br $to_end)))
        (call $write (i32.add (i32.const 1024) (local.get $from)) (i32.sub (local.get $i) (local.get $from)))
        (br $named))
      (call $write (i32.const 128) (i32.const 5)))
    (call $write (i32.const 96) (i32.const 4))))
