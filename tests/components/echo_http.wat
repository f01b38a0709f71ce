;; A component that hands the body of every request on as the body of its answer, as it comes, and what follows it:
;; wasi:http/incoming-handler 0.2 by hand. The core module `main` was written as text and wrapped by `wasm-tools component
;; embed` and `component new`.
(component
  (type $ty-wasi:io/poll@0.2.3 (;0;)
    (instance
      (export (;0;) "pollable" (type (sub resource)))
      (type (;1;) (borrow 0))
      (type (;2;) (func (param "self" 1)))
      (export (;0;) "[method]pollable.block" (func (type 2)))
    )
  )
  (import "wasi:io/poll@0.2.3" (instance $wasi:io/poll@0.2.3 (;0;) (type $ty-wasi:io/poll@0.2.3)))
  (type $ty-wasi:io/error@0.2.3 (;1;)
    (instance
      (export (;0;) "error" (type (sub resource)))
    )
  )
  (import "wasi:io/error@0.2.3" (instance $wasi:io/error@0.2.3 (;1;) (type $ty-wasi:io/error@0.2.3)))
  (alias export $wasi:io/error@0.2.3 "error" (type $error (;2;)))
  (type $ty-wasi:io/streams@0.2.3 (;3;)
    (instance
      (export (;0;) "input-stream" (type (sub resource)))
      (export (;1;) "output-stream" (type (sub resource)))
      (alias outer 1 $error (type (;2;)))
      (export (;3;) "error" (type (eq 2)))
      (type (;4;) (own 3))
      (type (;5;) (variant (case "last-operation-failed" 4) (case "closed")))
      (export (;6;) "stream-error" (type (eq 5)))
      (type (;7;) (borrow 0))
      (type (;8;) (list u8))
      (type (;9;) (result 8 (error 6)))
      (type (;10;) (func (param "self" 7) (param "len" u64) (result 9)))
      (export (;0;) "[method]input-stream.blocking-read" (func (type 10)))
      (type (;11;) (borrow 1))
      (type (;12;) (result (error 6)))
      (type (;13;) (func (param "self" 11) (param "contents" 8) (result 12)))
      (export (;1;) "[method]output-stream.blocking-write-and-flush" (func (type 13)))
    )
  )
  (import "wasi:io/streams@0.2.3" (instance $wasi:io/streams@0.2.3 (;2;) (type $ty-wasi:io/streams@0.2.3)))
  (alias export $wasi:io/streams@0.2.3 "input-stream" (type $input-stream (;4;)))
  (alias export $wasi:io/poll@0.2.3 "pollable" (type $pollable (;5;)))
  (alias export $wasi:io/streams@0.2.3 "output-stream" (type $output-stream (;6;)))
  (type $ty-wasi:http/types@0.2.3 (;7;)
    (instance
      (export (;0;) "incoming-request" (type (sub resource)))
      (export (;1;) "incoming-body" (type (sub resource)))
      (alias outer 1 $input-stream (type (;2;)))
      (export (;3;) "input-stream" (type (eq 2)))
      (export (;4;) "future-trailers" (type (sub resource)))
      (alias outer 1 $pollable (type (;5;)))
      (export (;6;) "pollable" (type (eq 5)))
      (export (;7;) "fields" (type (sub resource)))
      (export (;8;) "trailers" (type (eq 7)))
      (type (;9;) (option string))
      (type (;10;) (option u16))
      (type (;11;) (record (field "rcode" 9) (field "info-code" 10)))
      (export (;12;) "DNS-error-payload" (type (eq 11)))
      (type (;13;) (option u8))
      (type (;14;) (record (field "alert-id" 13) (field "alert-message" 9)))
      (export (;15;) "TLS-alert-received-payload" (type (eq 14)))
      (type (;16;) (option u32))
      (type (;17;) (record (field "field-name" 9) (field "field-size" 16)))
      (export (;18;) "field-size-payload" (type (eq 17)))
      (type (;19;) (option u64))
      (type (;20;) (option 18))
      (type (;21;) (variant (case "DNS-timeout") (case "DNS-error" 12) (case "destination-not-found") (case "destination-unavailable") (case "destination-IP-prohibited") (case "destination-IP-unroutable") (case "connection-refused") (case "connection-terminated") (case "connection-timeout") (case "connection-read-timeout") (case "connection-write-timeout") (case "connection-limit-reached") (case "TLS-protocol-error") (case "TLS-certificate-error") (case "TLS-alert-received" 15) (case "HTTP-request-denied") (case "HTTP-request-length-required") (case "HTTP-request-body-size" 19) (case "HTTP-request-method-invalid") (case "HTTP-request-URI-invalid") (case "HTTP-request-URI-too-long") (case "HTTP-request-header-section-size" 16) (case "HTTP-request-header-size" 20) (case "HTTP-request-trailer-section-size" 16) (case "HTTP-request-trailer-size" 18) (case "HTTP-response-incomplete") (case "HTTP-response-header-section-size" 16) (case "HTTP-response-header-size" 18) (case "HTTP-response-body-size" 19) (case "HTTP-response-trailer-section-size" 16) (case "HTTP-response-trailer-size" 18) (case "HTTP-response-transfer-coding" 9) (case "HTTP-response-content-coding" 9) (case "HTTP-response-timeout") (case "HTTP-upgrade-failed") (case "HTTP-protocol-error") (case "loop-detected") (case "configuration-error") (case "internal-error" 9)))
      (export (;22;) "error-code" (type (eq 21)))
      (export (;23;) "headers" (type (eq 7)))
      (export (;24;) "outgoing-response" (type (sub resource)))
      (export (;25;) "outgoing-body" (type (sub resource)))
      (alias outer 1 $output-stream (type (;26;)))
      (export (;27;) "output-stream" (type (eq 26)))
      (export (;28;) "response-outparam" (type (sub resource)))
      (type (;29;) (own 7))
      (type (;30;) (func (result 29)))
      (export (;0;) "[constructor]fields" (func (type 30)))
      (type (;31;) (borrow 0))
      (type (;32;) (own 1))
      (type (;33;) (result 32))
      (type (;34;) (func (param "self" 31) (result 33)))
      (export (;1;) "[method]incoming-request.consume" (func (type 34)))
      (type (;35;) (own 28))
      (type (;36;) (own 24))
      (type (;37;) (result 36 (error 22)))
      (type (;38;) (func (param "param" 35) (param "response" 37)))
      (export (;2;) "[static]response-outparam.set" (func (type 38)))
      (type (;39;) (borrow 1))
      (type (;40;) (own 3))
      (type (;41;) (result 40))
      (type (;42;) (func (param "self" 39) (result 41)))
      (export (;3;) "[method]incoming-body.stream" (func (type 42)))
      (type (;43;) (own 4))
      (type (;44;) (func (param "this" 32) (result 43)))
      (export (;4;) "[static]incoming-body.finish" (func (type 44)))
      (type (;45;) (borrow 4))
      (type (;46;) (own 6))
      (type (;47;) (func (param "self" 45) (result 46)))
      (export (;5;) "[method]future-trailers.subscribe" (func (type 47)))
      (type (;48;) (own 8))
      (type (;49;) (option 48))
      (type (;50;) (result 49 (error 22)))
      (type (;51;) (result 50))
      (type (;52;) (option 51))
      (type (;53;) (func (param "self" 45) (result 52)))
      (export (;6;) "[method]future-trailers.get" (func (type 53)))
      (type (;54;) (own 23))
      (type (;55;) (func (param "headers" 54) (result 36)))
      (export (;7;) "[constructor]outgoing-response" (func (type 55)))
      (type (;56;) (borrow 24))
      (type (;57;) (own 25))
      (type (;58;) (result 57))
      (type (;59;) (func (param "self" 56) (result 58)))
      (export (;8;) "[method]outgoing-response.body" (func (type 59)))
      (type (;60;) (borrow 25))
      (type (;61;) (own 27))
      (type (;62;) (result 61))
      (type (;63;) (func (param "self" 60) (result 62)))
      (export (;9;) "[method]outgoing-body.write" (func (type 63)))
      (type (;64;) (result (error 22)))
      (type (;65;) (func (param "this" 57) (param "trailers" 49) (result 64)))
      (export (;10;) "[static]outgoing-body.finish" (func (type 65)))
    )
  )
  (import "wasi:http/types@0.2.3" (instance $wasi:http/types@0.2.3 (;3;) (type $ty-wasi:http/types@0.2.3)))
  (core module $main (;0;)
    (type (;0;) (func (param i32 i32)))
    (type (;1;) (func (param i32) (result i32)))
    (type (;2;) (func (param i32)))
    (type (;3;) (func (result i32)))
    (type (;4;) (func (param i32 i32 i32 i32)))
    (type (;5;) (func (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
    (type (;6;) (func (param i32 i64 i32)))
    (type (;7;) (func (param i32 i32 i32 i32) (result i32)))
    (import "wasi:http/types@0.2.3" "[method]incoming-request.consume" (func $consume (;0;) (type 0) (param i32 i32)))
    (import "wasi:http/types@0.2.3" "[method]incoming-body.stream" (func $stream (;1;) (type 0) (param i32 i32)))
    (import "wasi:http/types@0.2.3" "[static]incoming-body.finish" (func $finish-in (;2;) (type 1) (param i32) (result i32)))
    (import "wasi:http/types@0.2.3" "[method]future-trailers.subscribe" (func $subscribe (;3;) (type 1) (param i32) (result i32)))
    (import "wasi:http/types@0.2.3" "[method]future-trailers.get" (func $get (;4;) (type 0) (param i32 i32)))
    (import "wasi:http/types@0.2.3" "[resource-drop]future-trailers" (func $drop-future (;5;) (type 2) (param i32)))
    (import "wasi:io/poll@0.2.3" "[method]pollable.block" (func $block (;6;) (type 2) (param i32)))
    (import "wasi:io/poll@0.2.3" "[resource-drop]pollable" (func $drop-pollable (;7;) (type 2) (param i32)))
    (import "wasi:http/types@0.2.3" "[constructor]fields" (func $fields (;8;) (type 3) (result i32)))
    (import "wasi:http/types@0.2.3" "[constructor]outgoing-response" (func $response (;9;) (type 1) (param i32) (result i32)))
    (import "wasi:http/types@0.2.3" "[method]outgoing-response.body" (func $body (;10;) (type 0) (param i32 i32)))
    (import "wasi:http/types@0.2.3" "[method]outgoing-body.write" (func $write-stream (;11;) (type 0) (param i32 i32)))
    (import "wasi:http/types@0.2.3" "[static]outgoing-body.finish" (func $finish (;12;) (type 4) (param i32 i32 i32 i32)))
    (import "wasi:http/types@0.2.3" "[static]response-outparam.set" (func $set (;13;) (type 5) (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
    (import "wasi:http/types@0.2.3" "[resource-drop]incoming-request" (func $drop-request (;14;) (type 2) (param i32)))
    (import "wasi:io/streams@0.2.3" "[method]input-stream.blocking-read" (func $read (;15;) (type 6) (param i32 i64 i32)))
    (import "wasi:io/streams@0.2.3" "[method]output-stream.blocking-write-and-flush" (func $write (;16;) (type 4) (param i32 i32 i32 i32)))
    (import "wasi:io/streams@0.2.3" "[resource-drop]input-stream" (func $drop-input (;17;) (type 2) (param i32)))
    (import "wasi:io/streams@0.2.3" "[resource-drop]output-stream" (func $drop-output (;18;) (type 2) (param i32)))
    (memory (;0;) 4)
    (export "memory" (memory 0))
    (export "cabi_realloc" (func 19))
    (export "wasi:http/incoming-handler@0.2.3#handle" (func 20))
    (func (;19;) (type 7) (param i32 i32 i32 i32) (result i32)
      i32.const 65536
    )
    (func (;20;) (type 0) (param $request i32) (param $out i32)
      (local $from i32) (local $in i32) (local $answer i32) (local $to i32) (local $stream i32) (local $at i32) (local $left i32) (local $part i32) (local $trailers i32) (local $pollable i32) (local $has i32)
      local.get $request
      i32.const 0
      call $consume
      i32.const 4
      i32.load
      local.set $from
      local.get $from
      i32.const 0
      call $stream
      i32.const 4
      i32.load
      local.set $in
      call $fields
      call $response
      local.set $answer
      local.get $answer
      i32.const 0
      call $body
      i32.const 4
      i32.load
      local.set $to
      local.get $to
      i32.const 0
      call $write-stream
      i32.const 4
      i32.load
      local.set $stream
      local.get $out
      i32.const 0
      local.get $answer
      i32.const 0
      i64.const 0
      i32.const 0
      i32.const 0
      i32.const 0
      i32.const 0
      call $set
      block $end
        loop $more
          local.get $in
          i64.const 65536
          i32.const 0
          call $read
          i32.const 0
          i32.load8_u
          br_if $end
          i32.const 4
          i32.load
          local.set $at
          i32.const 8
          i32.load
          local.set $left
          loop $rest
            local.get $left
            if ;; label = @4
              i32.const 4096
              local.get $left
              local.get $left
              i32.const 4096
              i32.gt_u
              select
              local.set $part
              local.get $stream
              local.get $at
              local.get $part
              i32.const 32
              call $write
              i32.const 32
              i32.load8_u
              if ;; label = @5
                unreachable
              end
              local.get $at
              local.get $part
              i32.add
              local.set $at
              local.get $left
              local.get $part
              i32.sub
              local.set $left
              br $rest
            end
          end
          br $more
        end
      end
      i32.const 4
      i32.load8_u
      i32.const 1
      i32.ne
      if ;; label = @1
        unreachable
      end
      local.get $in
      call $drop-input
      local.get $stream
      call $drop-output
      local.get $from
      call $finish-in
      local.set $trailers
      local.get $trailers
      call $subscribe
      local.set $pollable
      local.get $pollable
      call $block
      local.get $pollable
      call $drop-pollable
      local.get $trailers
      i32.const 128
      call $get
      i32.const 0
      local.set $has
      i32.const 152
      i32.load8_u
      if ;; label = @1
        i32.const 1
        local.set $has
      end
      local.get $trailers
      call $drop-future
      local.get $to
      local.get $has
      i32.const 156
      i32.load
      i32.const 64
      call $finish
      local.get $request
      call $drop-request
    )
    (@producers
      (processed-by "wit-component" "0.262.0")
    )
  )
  (core module $wit-component-shim-module (;1;)
    (type (;0;) (func (param i32 i32)))
    (type (;1;) (func (param i32 i32 i32 i32)))
    (type (;2;) (func (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
    (type (;3;) (func (param i32 i64 i32)))
    (table (;0;) 9 9 funcref)
    (export "0" (func $"indirect-wasi:http/types@0.2.3-[method]incoming-request.consume"))
    (export "1" (func $"indirect-wasi:http/types@0.2.3-[method]incoming-body.stream"))
    (export "2" (func $"indirect-wasi:http/types@0.2.3-[method]future-trailers.get"))
    (export "3" (func $"indirect-wasi:http/types@0.2.3-[method]outgoing-response.body"))
    (export "4" (func $"indirect-wasi:http/types@0.2.3-[method]outgoing-body.write"))
    (export "5" (func $"indirect-wasi:http/types@0.2.3-[static]outgoing-body.finish"))
    (export "6" (func $"indirect-wasi:http/types@0.2.3-[static]response-outparam.set"))
    (export "7" (func $"indirect-wasi:io/streams@0.2.3-[method]input-stream.blocking-read"))
    (export "8" (func $"indirect-wasi:io/streams@0.2.3-[method]output-stream.blocking-write-and-flush"))
    (export "$imports" (table 0))
    (func $"indirect-wasi:http/types@0.2.3-[method]incoming-request.consume" (;0;) (type 0) (param i32 i32)
      local.get 0
      local.get 1
      i32.const 0
      call_indirect (type 0)
    )
    (func $"indirect-wasi:http/types@0.2.3-[method]incoming-body.stream" (;1;) (type 0) (param i32 i32)
      local.get 0
      local.get 1
      i32.const 1
      call_indirect (type 0)
    )
    (func $"indirect-wasi:http/types@0.2.3-[method]future-trailers.get" (;2;) (type 0) (param i32 i32)
      local.get 0
      local.get 1
      i32.const 2
      call_indirect (type 0)
    )
    (func $"indirect-wasi:http/types@0.2.3-[method]outgoing-response.body" (;3;) (type 0) (param i32 i32)
      local.get 0
      local.get 1
      i32.const 3
      call_indirect (type 0)
    )
    (func $"indirect-wasi:http/types@0.2.3-[method]outgoing-body.write" (;4;) (type 0) (param i32 i32)
      local.get 0
      local.get 1
      i32.const 4
      call_indirect (type 0)
    )
    (func $"indirect-wasi:http/types@0.2.3-[static]outgoing-body.finish" (;5;) (type 1) (param i32 i32 i32 i32)
      local.get 0
      local.get 1
      local.get 2
      local.get 3
      i32.const 5
      call_indirect (type 1)
    )
    (func $"indirect-wasi:http/types@0.2.3-[static]response-outparam.set" (;6;) (type 2) (param i32 i32 i32 i32 i64 i32 i32 i32 i32)
      local.get 0
      local.get 1
      local.get 2
      local.get 3
      local.get 4
      local.get 5
      local.get 6
      local.get 7
      local.get 8
      i32.const 6
      call_indirect (type 2)
    )
    (func $"indirect-wasi:io/streams@0.2.3-[method]input-stream.blocking-read" (;7;) (type 3) (param i32 i64 i32)
      local.get 0
      local.get 1
      local.get 2
      i32.const 7
      call_indirect (type 3)
    )
    (func $"indirect-wasi:io/streams@0.2.3-[method]output-stream.blocking-write-and-flush" (;8;) (type 1) (param i32 i32 i32 i32)
      local.get 0
      local.get 1
      local.get 2
      local.get 3
      i32.const 8
      call_indirect (type 1)
    )
    (@producers
      (processed-by "wit-component" "0.262.0")
    )
  )
  (core instance $wit-component-shim-instance (;0;) (instantiate $wit-component-shim-module))
  (alias export $wasi:http/types@0.2.3 "incoming-request" (type $incoming-request (;8;)))
  (alias export $wasi:http/types@0.2.3 "response-outparam" (type $response-outparam (;9;)))
  (alias core export $wit-component-shim-instance "0" (core func $"indirect-wasi:http/types@0.2.3-[method]incoming-request.consume" (;0;)))
  (alias core export $wit-component-shim-instance "1" (core func $"indirect-wasi:http/types@0.2.3-[method]incoming-body.stream" (;1;)))
  (alias export $wasi:http/types@0.2.3 "[static]incoming-body.finish" (func $"[static]incoming-body.finish" (;0;)))
  (core func $"[static]incoming-body.finish" (;2;) (canon lower (func $"[static]incoming-body.finish")))
  (alias export $wasi:http/types@0.2.3 "[method]future-trailers.subscribe" (func $"[method]future-trailers.subscribe" (;1;)))
  (core func $"[method]future-trailers.subscribe" (;3;) (canon lower (func $"[method]future-trailers.subscribe")))
  (alias core export $wit-component-shim-instance "2" (core func $"indirect-wasi:http/types@0.2.3-[method]future-trailers.get" (;4;)))
  (alias export $wasi:http/types@0.2.3 "future-trailers" (type $future-trailers (;10;)))
  (core func $resource.drop (;5;) (canon resource.drop $future-trailers))
  (alias export $wasi:http/types@0.2.3 "[constructor]fields" (func $"[constructor]fields" (;2;)))
  (core func $"[constructor]fields" (;6;) (canon lower (func $"[constructor]fields")))
  (alias export $wasi:http/types@0.2.3 "[constructor]outgoing-response" (func $"[constructor]outgoing-response" (;3;)))
  (core func $"[constructor]outgoing-response" (;7;) (canon lower (func $"[constructor]outgoing-response")))
  (alias core export $wit-component-shim-instance "3" (core func $"indirect-wasi:http/types@0.2.3-[method]outgoing-response.body" (;8;)))
  (alias core export $wit-component-shim-instance "4" (core func $"indirect-wasi:http/types@0.2.3-[method]outgoing-body.write" (;9;)))
  (alias core export $wit-component-shim-instance "5" (core func $"indirect-wasi:http/types@0.2.3-[static]outgoing-body.finish" (;10;)))
  (alias core export $wit-component-shim-instance "6" (core func $"indirect-wasi:http/types@0.2.3-[static]response-outparam.set" (;11;)))
  (alias export $wasi:http/types@0.2.3 "incoming-request" (type $"#type11 incoming-request" (@name "incoming-request") (;11;)))
  (core func $"#core-func12 resource.drop" (@name "resource.drop") (;12;) (canon resource.drop $"#type11 incoming-request"))
  (core instance $wasi:http/types@0.2.3 (;1;)
    (export "[method]incoming-request.consume" (func $"indirect-wasi:http/types@0.2.3-[method]incoming-request.consume"))
    (export "[method]incoming-body.stream" (func $"indirect-wasi:http/types@0.2.3-[method]incoming-body.stream"))
    (export "[static]incoming-body.finish" (func $"[static]incoming-body.finish"))
    (export "[method]future-trailers.subscribe" (func $"[method]future-trailers.subscribe"))
    (export "[method]future-trailers.get" (func $"indirect-wasi:http/types@0.2.3-[method]future-trailers.get"))
    (export "[resource-drop]future-trailers" (func $resource.drop))
    (export "[constructor]fields" (func $"[constructor]fields"))
    (export "[constructor]outgoing-response" (func $"[constructor]outgoing-response"))
    (export "[method]outgoing-response.body" (func $"indirect-wasi:http/types@0.2.3-[method]outgoing-response.body"))
    (export "[method]outgoing-body.write" (func $"indirect-wasi:http/types@0.2.3-[method]outgoing-body.write"))
    (export "[static]outgoing-body.finish" (func $"indirect-wasi:http/types@0.2.3-[static]outgoing-body.finish"))
    (export "[static]response-outparam.set" (func $"indirect-wasi:http/types@0.2.3-[static]response-outparam.set"))
    (export "[resource-drop]incoming-request" (func $"#core-func12 resource.drop"))
  )
  (alias export $wasi:io/poll@0.2.3 "[method]pollable.block" (func $"[method]pollable.block" (;4;)))
  (core func $"[method]pollable.block" (;13;) (canon lower (func $"[method]pollable.block")))
  (alias export $wasi:io/poll@0.2.3 "pollable" (type $"#type12 pollable" (@name "pollable") (;12;)))
  (core func $"#core-func14 resource.drop" (@name "resource.drop") (;14;) (canon resource.drop $"#type12 pollable"))
  (core instance $wasi:io/poll@0.2.3 (;2;)
    (export "[method]pollable.block" (func $"[method]pollable.block"))
    (export "[resource-drop]pollable" (func $"#core-func14 resource.drop"))
  )
  (alias core export $wit-component-shim-instance "7" (core func $"indirect-wasi:io/streams@0.2.3-[method]input-stream.blocking-read" (;15;)))
  (alias core export $wit-component-shim-instance "8" (core func $"indirect-wasi:io/streams@0.2.3-[method]output-stream.blocking-write-and-flush" (;16;)))
  (alias export $wasi:io/streams@0.2.3 "input-stream" (type $"#type13 input-stream" (@name "input-stream") (;13;)))
  (core func $"#core-func17 resource.drop" (@name "resource.drop") (;17;) (canon resource.drop $"#type13 input-stream"))
  (alias export $wasi:io/streams@0.2.3 "output-stream" (type $"#type14 output-stream" (@name "output-stream") (;14;)))
  (core func $"#core-func18 resource.drop" (@name "resource.drop") (;18;) (canon resource.drop $"#type14 output-stream"))
  (core instance $wasi:io/streams@0.2.3 (;3;)
    (export "[method]input-stream.blocking-read" (func $"indirect-wasi:io/streams@0.2.3-[method]input-stream.blocking-read"))
    (export "[method]output-stream.blocking-write-and-flush" (func $"indirect-wasi:io/streams@0.2.3-[method]output-stream.blocking-write-and-flush"))
    (export "[resource-drop]input-stream" (func $"#core-func17 resource.drop"))
    (export "[resource-drop]output-stream" (func $"#core-func18 resource.drop"))
  )
  (core instance $main (;4;) (instantiate $main
      (with "wasi:http/types@0.2.3" (instance $wasi:http/types@0.2.3))
      (with "wasi:io/poll@0.2.3" (instance $wasi:io/poll@0.2.3))
      (with "wasi:io/streams@0.2.3" (instance $wasi:io/streams@0.2.3))
    )
  )
  (alias core export $main "memory" (core memory $memory (;0;)))
  (core module $wit-component-fixup (;2;)
    (type (;0;) (func (param i32 i32)))
    (type (;1;) (func (param i32 i32 i32 i32)))
    (type (;2;) (func (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
    (type (;3;) (func (param i32 i64 i32)))
    (import "actual" "0" (func $0 (;0;) (type 0) (param i32 i32)))
    (import "actual" "1" (func $1 (;1;) (type 0) (param i32 i32)))
    (import "actual" "2" (func $2 (;2;) (type 0) (param i32 i32)))
    (import "actual" "3" (func $3 (;3;) (type 0) (param i32 i32)))
    (import "actual" "4" (func $4 (;4;) (type 0) (param i32 i32)))
    (import "actual" "5" (func $5 (;5;) (type 1) (param i32 i32 i32 i32)))
    (import "actual" "6" (func $6 (;6;) (type 2) (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
    (import "actual" "7" (func $7 (;7;) (type 3) (param i32 i64 i32)))
    (import "actual" "8" (func $8 (;8;) (type 1) (param i32 i32 i32 i32)))
    (import "shim" "$imports" (table (;0;) 9 9 funcref))
    (elem (;0;) (i32.const 0) func $0 $1 $2 $3 $4 $5 $6 $7 $8)
    (@producers
      (processed-by "wit-component" "0.262.0")
    )
  )
  (alias export $wasi:http/types@0.2.3 "[method]incoming-request.consume" (func $"[method]incoming-request.consume" (;5;)))
  (core func $"#core-func19 indirect-wasi:http/types@0.2.3-[method]incoming-request.consume" (@name "indirect-wasi:http/types@0.2.3-[method]incoming-request.consume") (;19;) (canon lower (func $"[method]incoming-request.consume") (memory $memory)))
  (alias export $wasi:http/types@0.2.3 "[method]incoming-body.stream" (func $"[method]incoming-body.stream" (;6;)))
  (core func $"#core-func20 indirect-wasi:http/types@0.2.3-[method]incoming-body.stream" (@name "indirect-wasi:http/types@0.2.3-[method]incoming-body.stream") (;20;) (canon lower (func $"[method]incoming-body.stream") (memory $memory)))
  (alias export $wasi:http/types@0.2.3 "[method]future-trailers.get" (func $"[method]future-trailers.get" (;7;)))
  (alias core export $main "cabi_realloc" (core func $cabi_realloc (;21;)))
  (core func $"#core-func22 indirect-wasi:http/types@0.2.3-[method]future-trailers.get" (@name "indirect-wasi:http/types@0.2.3-[method]future-trailers.get") (;22;) (canon lower (func $"[method]future-trailers.get") (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (alias export $wasi:http/types@0.2.3 "[method]outgoing-response.body" (func $"[method]outgoing-response.body" (;8;)))
  (core func $"#core-func23 indirect-wasi:http/types@0.2.3-[method]outgoing-response.body" (@name "indirect-wasi:http/types@0.2.3-[method]outgoing-response.body") (;23;) (canon lower (func $"[method]outgoing-response.body") (memory $memory)))
  (alias export $wasi:http/types@0.2.3 "[method]outgoing-body.write" (func $"[method]outgoing-body.write" (;9;)))
  (core func $"#core-func24 indirect-wasi:http/types@0.2.3-[method]outgoing-body.write" (@name "indirect-wasi:http/types@0.2.3-[method]outgoing-body.write") (;24;) (canon lower (func $"[method]outgoing-body.write") (memory $memory)))
  (alias export $wasi:http/types@0.2.3 "[static]outgoing-body.finish" (func $"[static]outgoing-body.finish" (;10;)))
  (core func $"#core-func25 indirect-wasi:http/types@0.2.3-[static]outgoing-body.finish" (@name "indirect-wasi:http/types@0.2.3-[static]outgoing-body.finish") (;25;) (canon lower (func $"[static]outgoing-body.finish") (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (alias export $wasi:http/types@0.2.3 "[static]response-outparam.set" (func $"[static]response-outparam.set" (;11;)))
  (core func $"#core-func26 indirect-wasi:http/types@0.2.3-[static]response-outparam.set" (@name "indirect-wasi:http/types@0.2.3-[static]response-outparam.set") (;26;) (canon lower (func $"[static]response-outparam.set") (memory $memory) string-encoding=utf8))
  (alias export $wasi:io/streams@0.2.3 "[method]input-stream.blocking-read" (func $"[method]input-stream.blocking-read" (;12;)))
  (core func $"#core-func27 indirect-wasi:io/streams@0.2.3-[method]input-stream.blocking-read" (@name "indirect-wasi:io/streams@0.2.3-[method]input-stream.blocking-read") (;27;) (canon lower (func $"[method]input-stream.blocking-read") (memory $memory) (realloc $cabi_realloc)))
  (alias export $wasi:io/streams@0.2.3 "[method]output-stream.blocking-write-and-flush" (func $"[method]output-stream.blocking-write-and-flush" (;13;)))
  (core func $"#core-func28 indirect-wasi:io/streams@0.2.3-[method]output-stream.blocking-write-and-flush" (@name "indirect-wasi:io/streams@0.2.3-[method]output-stream.blocking-write-and-flush") (;28;) (canon lower (func $"[method]output-stream.blocking-write-and-flush") (memory $memory)))
  (core instance $actual (;5;)
    (export "0" (func $"#core-func19 indirect-wasi:http/types@0.2.3-[method]incoming-request.consume"))
    (export "1" (func $"#core-func20 indirect-wasi:http/types@0.2.3-[method]incoming-body.stream"))
    (export "2" (func $"#core-func22 indirect-wasi:http/types@0.2.3-[method]future-trailers.get"))
    (export "3" (func $"#core-func23 indirect-wasi:http/types@0.2.3-[method]outgoing-response.body"))
    (export "4" (func $"#core-func24 indirect-wasi:http/types@0.2.3-[method]outgoing-body.write"))
    (export "5" (func $"#core-func25 indirect-wasi:http/types@0.2.3-[static]outgoing-body.finish"))
    (export "6" (func $"#core-func26 indirect-wasi:http/types@0.2.3-[static]response-outparam.set"))
    (export "7" (func $"#core-func27 indirect-wasi:io/streams@0.2.3-[method]input-stream.blocking-read"))
    (export "8" (func $"#core-func28 indirect-wasi:io/streams@0.2.3-[method]output-stream.blocking-write-and-flush"))
  )
  (core instance $fixup (;6;) (instantiate $wit-component-fixup
      (with "actual" (instance $actual))
      (with "shim" (instance $wit-component-shim-instance))
    )
  )
  (type (;15;) (own $incoming-request))
  (type (;16;) (own $response-outparam))
  (type (;17;) (func (param "request" 15) (param "response-out" 16)))
  (alias core export $main "wasi:http/incoming-handler@0.2.3#handle" (core func $wasi:http/incoming-handler@0.2.3#handle (;29;)))
  (func $handle (;14;) (type 17) (canon lift (core func $wasi:http/incoming-handler@0.2.3#handle)))
  (component $wasi:http/incoming-handler@0.2.3-shim-component (;0;)
    (import "import-type-incoming-request" (type (;0;) (sub resource)))
    (import "import-type-response-outparam" (type (;1;) (sub resource)))
    (import "import-type-incoming-request0" (type (;2;) (eq 0)))
    (type (;3;) (own 2))
    (import "import-type-response-outparam0" (type (;4;) (eq 1)))
    (type (;5;) (own 4))
    (type (;6;) (func (param "request" 3) (param "response-out" 5)))
    (import "import-func-handle" (func (;0;) (type 6)))
    (export (;7;) "incoming-request" (type 0))
    (export (;8;) "response-outparam" (type 1))
    (type (;9;) (own 7))
    (type (;10;) (own 8))
    (type (;11;) (func (param "request" 9) (param "response-out" 10)))
    (export (;1;) "handle" (func 0) (func (type 11)))
  )
  (instance $wasi:http/incoming-handler@0.2.3-shim-instance (;4;) (instantiate $wasi:http/incoming-handler@0.2.3-shim-component
      (with "import-func-handle" (func $handle))
      (with "import-type-incoming-request" (type $incoming-request))
      (with "import-type-response-outparam" (type $response-outparam))
      (with "import-type-incoming-request0" (type $incoming-request))
      (with "import-type-response-outparam0" (type $response-outparam))
    )
  )
  (export $wasi:http/incoming-handler@0.2.3 (;5;) "wasi:http/incoming-handler@0.2.3" (instance $wasi:http/incoming-handler@0.2.3-shim-instance))
  (@producers
    (processed-by "wit-component" "0.262.0")
  )
)
