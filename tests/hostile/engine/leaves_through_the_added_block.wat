;; A label one beyond the function's own, which the pass's block around a body would make valid.
;; refuse: the index of a label below 1, found 1
(module (func (export "run") (br 0) (br 1)))
