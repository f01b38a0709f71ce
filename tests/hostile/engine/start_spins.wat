;; call: run fuel=100000 -> out_of_fuel
(module (func $start (loop (br 0))) (start $start) (func (export "run")))
