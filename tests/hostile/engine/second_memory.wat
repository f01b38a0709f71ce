;; refuse: proposal multi-memory, which is off
(module (memory 1) (memory 1))
