;; The largest length: charged as unsigned, so a budget ends it before it can trap; without one it traps.
;; call: run fuel=1000000 -> out_of_fuel
;; call: run -> trapped memory_out_of_bounds
(module (memory 1) (func (export "run") (memory.fill (i32.const 0) (i32.const 1) (i32.const -1))))
