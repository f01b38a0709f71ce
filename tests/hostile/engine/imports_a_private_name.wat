;; refuse: private to the metering pass
(module (import "env" "\00berth.check" (func)))
