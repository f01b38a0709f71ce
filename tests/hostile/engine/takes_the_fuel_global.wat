;; The same with the global that the pass appends.
;; refuse: the index of a global below 0, found 0
(module (func (export "run") (loop (global.set 0 (i64.const 0x7fffffffffff)) (br 0))))
