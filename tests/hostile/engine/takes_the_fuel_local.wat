;; The pass appends a local for fuel; a module that names it without having it must not get it.
;; refuse: the index of a local below 0, found 0
(module (func (export "run") (loop (local.set 0 (i64.const 0x7fffffffffff)) (br 0))))
