;; refuse: proposal exceptions, which is off
(module (tag $t) (func (export "run") (throw $t)))
