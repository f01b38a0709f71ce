;; refuse: proposal GC, which is off
(module (type (struct (field i32))))
