;; call: run fuel=10000000 -> out_of_fuel
(module (table 10000 funcref) (func (export "run") (loop (table.fill 0 (i32.const 0) (ref.null func) (i32.const 10000)) (br 0))))
