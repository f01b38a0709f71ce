;; 60 locals: 16 * (61 + 3) + 128 = 1152 bytes, two levels.
;; exact_depth
;; call: run 49 depth=100 -> returned
;; call: run 50 depth=100 -> stack_overflow
(module (func $run (export "run") (param i32) (result i32) (local i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64 i64)
  (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0)) (else (i32.add (i32.const 1) (call $run (i32.sub (local.get 0) (i32.const 1))))))))
