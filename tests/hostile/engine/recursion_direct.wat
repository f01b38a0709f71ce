;; exact_depth
;; call: run 99 depth=100 -> returned
;; call: run 100 depth=100 -> stack_overflow
(module (func $run (export "run") (param i32) (result i32)
  (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0)) (else (i32.add (i32.const 1) (call $run (i32.sub (local.get 0) (i32.const 1))))))))
