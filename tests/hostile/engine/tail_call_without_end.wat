;; A tail call never grows the stack, so neither stack nor depth would end it.
;; refuse: proposal tail calls, which is off
(module (func $f (export "run") (return_call $f)))
