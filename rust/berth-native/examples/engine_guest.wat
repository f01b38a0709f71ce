;; What the engine benchmarks run, on both sides.
(module
  (import "h" "f" (func $f (param i32) (result i32)))
  (memory (export "memory") 17)
  (table 4 funcref)
  (global $g (mut i32) (i32.const 0))
  (data (i32.const 4096) "some data of the module")
  (data (i32.const 1048576) "a second region of its image")
  (func (export "touch") (param $pages i32) (result i32) (local $i i32)
    (global.set $g (i32.const 1))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $i) (local.get $pages)))
        (i32.store (i32.mul (local.get $i) (i32.const 4096)) (local.get $i))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next)))
    (local.get $i))
  (func (export "empty") (param i32) (result i32) (local.get 0))
  (func (export "calls") (param $count i32) (result i32) (local $i i32)
    (loop $next
      (local.set $i (call $f (local.get $i)))
      (br_if $next (i32.lt_u (local.get $i) (local.get $count))))
    (local.get $i))
  (func (export "tight") (param i32) (result i32) (loop $again (br $again)) unreachable)
  (func (export "host_loop") (param i32) (result i32) (loop $again (drop (call $f (i32.const 1))) (br $again)) unreachable)
  (func (export "bulk_loop") (param i32) (result i32)
    (loop $again (memory.fill (i32.const 65536) (i32.const 1) (i32.const 65536)) (br $again)) unreachable))
