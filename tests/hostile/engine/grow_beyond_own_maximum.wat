;; call: run -> returned
(module (memory 1 2) (func (export "run") (if (i32.ne (memory.grow (i32.const 2)) (i32.const -1)) (then unreachable))))
