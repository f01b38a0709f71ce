;; refuse: proposal memory64, which is off
(module (memory i64 1))
