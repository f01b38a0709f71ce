;; call: run -> stack_overflow
(module (func $start (call $start)) (start $start) (func (export "run")))
