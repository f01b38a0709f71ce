;; refuse: private to the metering pass
(module (import "\00berth." "check" (func)))
