;; No loop at all: mutual recursion that is unwound again and again.
;; call: run 1000 fuel=1000000 -> out_of_fuel
(module
  (func $down (param i32) (if (i32.eqz (local.get 0)) (then (return))) (call $down (i32.sub (local.get 0) (i32.const 1))) (call $down (i32.sub (local.get 0) (i32.const 1))))
  (func (export "run") (param i32) (call $down (local.get 0))))
