;; call: run memory=131072 -> returned
(module (memory 1) (func (export "run") (if (i32.ne (memory.grow (i32.const 2)) (i32.const -1)) (then unreachable))
  (if (i32.ne (memory.grow (i32.const 1)) (i32.const 1)) (then unreachable))))
