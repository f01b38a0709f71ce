;; Below the length after which the host is asked.
;; call: run fuel=10000000 -> out_of_fuel
(module (memory 1) (func (export "run") (loop (memory.copy (i32.const 0) (i32.const 100) (i32.const 255)) (br 0))))
