;; call: run 99 -> returned
;; call: run 100000000 -> stack_overflow
;; The function gets into the table by table.set; ref.func needs it exported or declared.
(module (table (export "table") 1 funcref) (type $t (func (param i32) (result i32)))
  (func $run (export "run") (param i32) (result i32)
    (table.set 0 (i32.const 0) (ref.func $run))
    (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))
      (else (i32.add (i32.const 1) (call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0)))))))
