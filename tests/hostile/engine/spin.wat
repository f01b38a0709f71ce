;; call: run fuel=1000000 -> out_of_fuel
(module (func (export "run") (loop (br 0))))
