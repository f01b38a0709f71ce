;; refuse: proposal threads, which is off
(module (memory 1 2 shared))
