;; exact_depth
;; call: run depth=1000 -> stack_overflow
(module (func $start (call $start)) (start $start) (func (export "run")))
