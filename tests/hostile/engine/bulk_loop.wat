;; Few operators, many bytes: charged by length.
;; call: run fuel=100000000 -> out_of_fuel
(module (memory 16) (func (export "run") (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x100000)) (br 0))))
