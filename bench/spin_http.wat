;; A component like tests/components/hello_http.wat, except that a request with a header `spin` is never answered: it computes for
;; ever. The core module `main` was written as text and wrapped by `wasm-tools component embed` and `component new`.
(component
  (type $ty-wasi:io/error@0.2.0 (;0;)
    (instance
      (export (;0;) "error" (type (sub resource)))
    )
  )
  (import "wasi:io/error@0.2.0" (instance $wasi:io/error@0.2.0 (;0;) (type $ty-wasi:io/error@0.2.0)))
  (alias export $wasi:io/error@0.2.0 "error" (type $error (;1;)))
  (type $ty-wasi:io/streams@0.2.0 (;2;)
    (instance
      (export (;0;) "output-stream" (type (sub resource)))
      (alias outer 1 $error (type (;1;)))
      (export (;2;) "error" (type (eq 1)))
      (type (;3;) (own 2))
      (type (;4;) (variant (case "last-operation-failed" 3) (case "closed")))
      (export (;5;) "stream-error" (type (eq 4)))
      (type (;6;) (borrow 0))
      (type (;7;) (list u8))
      (type (;8;) (result (error 5)))
      (type (;9;) (func (param "self" 6) (param "contents" 7) (result 8)))
      (export (;0;) "[method]output-stream.blocking-write-and-flush" (func (type 9)))
    )
  )
  (import "wasi:io/streams@0.2.0" (instance $wasi:io/streams@0.2.0 (;1;) (type $ty-wasi:io/streams@0.2.0)))
  (alias export $wasi:io/streams@0.2.0 "output-stream" (type $output-stream (;3;)))
  (type $ty-wasi:http/types@0.2.0 (;4;)
    (instance
      (export (;0;) "fields" (type (sub resource)))
      (type (;1;) (variant (case "invalid-syntax") (case "forbidden") (case "immutable")))
      (export (;2;) "header-error" (type (eq 1)))
      (export (;3;) "headers" (type (eq 0)))
      (export (;4;) "outgoing-response" (type (sub resource)))
      (export (;5;) "outgoing-body" (type (sub resource)))
      (alias outer 1 $output-stream (type (;6;)))
      (export (;7;) "output-stream" (type (eq 6)))
      (export (;8;) "trailers" (type (eq 0)))
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
      (export (;23;) "response-outparam" (type (sub resource)))
      (export (;24;) "incoming-request" (type (sub resource)))
      (type (;25;) (own 0))
      (type (;26;) (func (result 25)))
      (export (;0;) "[constructor]fields" (func (type 26)))
      (type (;27;) (borrow 0))
      (type (;28;) (list u8))
      (type (;29;) (result (error 2)))
      (type (;30;) (func (param "self" 27) (param "name" string) (param "value" 28) (result 29)))
      (export (;1;) "[method]fields.append" (func (type 30)))
      (type (;31;) (func (param "self" 27) (param "name" string) (result bool)))
      (export (;2;) "[method]fields.has" (func (type 31)))
      (type (;32;) (own 3))
      (type (;33;) (own 4))
      (type (;34;) (func (param "headers" 32) (result 33)))
      (export (;3;) "[constructor]outgoing-response" (func (type 34)))
      (type (;35;) (borrow 4))
      (type (;36;) (own 5))
      (type (;37;) (result 36))
      (type (;38;) (func (param "self" 35) (result 37)))
      (export (;4;) "[method]outgoing-response.body" (func (type 38)))
      (type (;39;) (borrow 5))
      (type (;40;) (own 7))
      (type (;41;) (result 40))
      (type (;42;) (func (param "self" 39) (result 41)))
      (export (;5;) "[method]outgoing-body.write" (func (type 42)))
      (type (;43;) (own 8))
      (type (;44;) (option 43))
      (type (;45;) (result (error 22)))
      (type (;46;) (func (param "this" 36) (param "trailers" 44) (result 45)))
      (export (;6;) "[static]outgoing-body.finish" (func (type 46)))
      (type (;47;) (own 23))
      (type (;48;) (result 33 (error 22)))
      (type (;49;) (func (param "param" 47) (param "response" 48)))
      (export (;7;) "[static]response-outparam.set" (func (type 49)))
      (type (;50;) (borrow 24))
      (type (;51;) (func (param "self" 50) (result 32)))
      (export (;8;) "[method]incoming-request.headers" (func (type 51)))
    )
  )
  (import "wasi:http/types@0.2.0" (instance $wasi:http/types@0.2.0 (;2;) (type $ty-wasi:http/types@0.2.0)))
  (core module $main (;0;)
    (type (;0;) (func (result i32)))
    (type (;1;) (func (param i32 i32 i32 i32 i32 i32)))
    (type (;2;) (func (param i32) (result i32)))
    (type (;3;) (func (param i32 i32)))
    (type (;4;) (func (param i32 i32 i32 i32)))
    (type (;5;) (func (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
    (type (;6;) (func (param i32)))
    (type (;7;) (func (param i32 i32 i32 i32) (result i32)))
    (type (;8;) (func (param i32 i32 i32) (result i32)))
    (import "wasi:http/types@0.2.0" "[constructor]fields" (func $fields (;0;) (type 0) (result i32)))
    (import "wasi:http/types@0.2.0" "[method]fields.append" (func $append (;1;) (type 1) (param i32 i32 i32 i32 i32 i32)))
    (import "wasi:http/types@0.2.0" "[constructor]outgoing-response" (func $response (;2;) (type 2) (param i32) (result i32)))
    (import "wasi:http/types@0.2.0" "[method]outgoing-response.body" (func $body (;3;) (type 3) (param i32 i32)))
    (import "wasi:http/types@0.2.0" "[method]outgoing-body.write" (func $write (;4;) (type 3) (param i32 i32)))
    (import "wasi:http/types@0.2.0" "[static]outgoing-body.finish" (func $finish (;5;) (type 4) (param i32 i32 i32 i32)))
    (import "wasi:http/types@0.2.0" "[static]response-outparam.set" (func $set (;6;) (type 5) (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
    (import "wasi:http/types@0.2.0" "[method]incoming-request.headers" (func $headers (;7;) (type 2) (param i32) (result i32)))
    (import "wasi:http/types@0.2.0" "[method]fields.has" (func $has (;8;) (type 8) (param i32 i32 i32) (result i32)))
    (import "wasi:http/types@0.2.0" "[resource-drop]fields" (func $drop_fields (;9;) (type 6) (param i32)))
    (import "wasi:io/streams@0.2.0" "[method]output-stream.blocking-write-and-flush" (func $put (;10;) (type 4) (param i32 i32 i32 i32)))
    (import "wasi:io/streams@0.2.0" "[resource-drop]output-stream" (func $drop (;11;) (type 6) (param i32)))
    (import "wasi:http/types@0.2.0" "[resource-drop]incoming-request" (func $forget (;12;) (type 6) (param i32)))
    (memory (;0;) 1)
    (export "memory" (memory 0))
    (export "cabi_realloc" (func $realloc))
    (export "wasi:http/incoming-handler@0.2.0#handle" (func $handle))
    (func $realloc (;13;) (type 7) (param i32 i32 i32 i32) (result i32)
      unreachable
    )
    (func $handle (;14;) (type 3) (param $request i32) (param $out i32)
      (local $fields i32) (local $response i32) (local $body i32) (local $stream i32)
      local.get $request
      call $headers
      local.tee $fields
      i32.const 80
      i32.const 4
      call $has
      if ;; label = @1
        loop $for_ever
          br $for_ever
        end
      end
      local.get $fields
      call $drop_fields
      local.get $request
      call $forget
      call $fields
      local.set $fields
      local.get $fields
      i32.const 16
      i32.const 12
      i32.const 32
      i32.const 16
      i32.const 128
      call $append
      local.get $fields
      call $response
      local.set $response
      local.get $response
      i32.const 128
      call $body
      i32.const 132
      i32.load
      local.set $body
      local.get $out
      i32.const 0
      local.get $response
      i32.const 0
      i64.const 0
      i32.const 0
      i32.const 0
      i32.const 0
      i32.const 0
      call $set
      local.get $body
      i32.const 128
      call $write
      i32.const 132
      i32.load
      local.set $stream
      local.get $stream
      i32.const 48
      i32.const 27
      i32.const 128
      call $put
      local.get $stream
      call $drop
      local.get $body
      i32.const 0
      i32.const 0
      i32.const 128
      call $finish
    )
    (data (;0;) (i32.const 16) "content-type")
    (data (;1;) (i32.const 32) "application/json")
    (data (;2;) (i32.const 80) "spin")
    (data (;3;) (i32.const 48) "{\22message\22:\22Hello, World!\22}")
    (@producers
      (processed-by "wit-component" "0.262.0")
    )
  )
  (core module $wit-component-shim-module (;1;)
    (type (;0;) (func (param i32 i32 i32 i32 i32 i32)))
    (type (;1;) (func (param i32 i32)))
    (type (;2;) (func (param i32 i32 i32 i32)))
    (type (;3;) (func (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
    (type (;4;) (func (param i32 i32 i32) (result i32)))
    (table (;0;) 7 7 funcref)
    (export "0" (func $"indirect-wasi:http/types@0.2.0-[method]fields.append"))
    (export "1" (func $"indirect-wasi:http/types@0.2.0-[method]outgoing-response.body"))
    (export "2" (func $"indirect-wasi:http/types@0.2.0-[method]outgoing-body.write"))
    (export "3" (func $"indirect-wasi:http/types@0.2.0-[static]outgoing-body.finish"))
    (export "4" (func $"indirect-wasi:http/types@0.2.0-[static]response-outparam.set"))
    (export "5" (func $"indirect-wasi:http/types@0.2.0-[method]fields.has"))
    (export "6" (func $"indirect-wasi:io/streams@0.2.0-[method]output-stream.blocking-write-and-flush"))
    (export "$imports" (table 0))
    (func $"indirect-wasi:http/types@0.2.0-[method]fields.append" (;0;) (type 0) (param i32 i32 i32 i32 i32 i32)
      local.get 0
      local.get 1
      local.get 2
      local.get 3
      local.get 4
      local.get 5
      i32.const 0
      call_indirect (type 0)
    )
    (func $"indirect-wasi:http/types@0.2.0-[method]outgoing-response.body" (;1;) (type 1) (param i32 i32)
      local.get 0
      local.get 1
      i32.const 1
      call_indirect (type 1)
    )
    (func $"indirect-wasi:http/types@0.2.0-[method]outgoing-body.write" (;2;) (type 1) (param i32 i32)
      local.get 0
      local.get 1
      i32.const 2
      call_indirect (type 1)
    )
    (func $"indirect-wasi:http/types@0.2.0-[static]outgoing-body.finish" (;3;) (type 2) (param i32 i32 i32 i32)
      local.get 0
      local.get 1
      local.get 2
      local.get 3
      i32.const 3
      call_indirect (type 2)
    )
    (func $"indirect-wasi:http/types@0.2.0-[static]response-outparam.set" (;4;) (type 3) (param i32 i32 i32 i32 i64 i32 i32 i32 i32)
      local.get 0
      local.get 1
      local.get 2
      local.get 3
      local.get 4
      local.get 5
      local.get 6
      local.get 7
      local.get 8
      i32.const 4
      call_indirect (type 3)
    )
    (func $"indirect-wasi:http/types@0.2.0-[method]fields.has" (;5;) (type 4) (param i32 i32 i32) (result i32)
      local.get 0
      local.get 1
      local.get 2
      i32.const 5
      call_indirect (type 4)
    )
    (func $"indirect-wasi:io/streams@0.2.0-[method]output-stream.blocking-write-and-flush" (;6;) (type 2) (param i32 i32 i32 i32)
      local.get 0
      local.get 1
      local.get 2
      local.get 3
      i32.const 6
      call_indirect (type 2)
    )
    (@producers
      (processed-by "wit-component" "0.262.0")
    )
  )
  (core instance $wit-component-shim-instance (;0;) (instantiate $wit-component-shim-module))
  (alias export $wasi:http/types@0.2.0 "incoming-request" (type $incoming-request (;5;)))
  (alias export $wasi:http/types@0.2.0 "response-outparam" (type $response-outparam (;6;)))
  (alias export $wasi:http/types@0.2.0 "[constructor]fields" (func $"[constructor]fields" (;0;)))
  (core func $"[constructor]fields" (;0;) (canon lower (func $"[constructor]fields")))
  (alias core export $wit-component-shim-instance "0" (core func $"indirect-wasi:http/types@0.2.0-[method]fields.append" (;1;)))
  (alias export $wasi:http/types@0.2.0 "[constructor]outgoing-response" (func $"[constructor]outgoing-response" (;1;)))
  (core func $"[constructor]outgoing-response" (;2;) (canon lower (func $"[constructor]outgoing-response")))
  (alias core export $wit-component-shim-instance "1" (core func $"indirect-wasi:http/types@0.2.0-[method]outgoing-response.body" (;3;)))
  (alias core export $wit-component-shim-instance "2" (core func $"indirect-wasi:http/types@0.2.0-[method]outgoing-body.write" (;4;)))
  (alias core export $wit-component-shim-instance "3" (core func $"indirect-wasi:http/types@0.2.0-[static]outgoing-body.finish" (;5;)))
  (alias core export $wit-component-shim-instance "4" (core func $"indirect-wasi:http/types@0.2.0-[static]response-outparam.set" (;6;)))
  (alias export $wasi:http/types@0.2.0 "[method]incoming-request.headers" (func $"[method]incoming-request.headers" (;2;)))
  (core func $"[method]incoming-request.headers" (;7;) (canon lower (func $"[method]incoming-request.headers")))
  (alias core export $wit-component-shim-instance "5" (core func $"indirect-wasi:http/types@0.2.0-[method]fields.has" (;8;)))
  (alias export $wasi:http/types@0.2.0 "fields" (type $fields (;7;)))
  (core func $resource.drop (;9;) (canon resource.drop $fields))
  (alias export $wasi:http/types@0.2.0 "incoming-request" (type $"#type8 incoming-request" (@name "incoming-request") (;8;)))
  (core func $"#core-func10 resource.drop" (@name "resource.drop") (;10;) (canon resource.drop $"#type8 incoming-request"))
  (core instance $wasi:http/types@0.2.0 (;1;)
    (export "[constructor]fields" (func $"[constructor]fields"))
    (export "[method]fields.append" (func $"indirect-wasi:http/types@0.2.0-[method]fields.append"))
    (export "[constructor]outgoing-response" (func $"[constructor]outgoing-response"))
    (export "[method]outgoing-response.body" (func $"indirect-wasi:http/types@0.2.0-[method]outgoing-response.body"))
    (export "[method]outgoing-body.write" (func $"indirect-wasi:http/types@0.2.0-[method]outgoing-body.write"))
    (export "[static]outgoing-body.finish" (func $"indirect-wasi:http/types@0.2.0-[static]outgoing-body.finish"))
    (export "[static]response-outparam.set" (func $"indirect-wasi:http/types@0.2.0-[static]response-outparam.set"))
    (export "[method]incoming-request.headers" (func $"[method]incoming-request.headers"))
    (export "[method]fields.has" (func $"indirect-wasi:http/types@0.2.0-[method]fields.has"))
    (export "[resource-drop]fields" (func $resource.drop))
    (export "[resource-drop]incoming-request" (func $"#core-func10 resource.drop"))
  )
  (alias core export $wit-component-shim-instance "6" (core func $"indirect-wasi:io/streams@0.2.0-[method]output-stream.blocking-write-and-flush" (;11;)))
  (alias export $wasi:io/streams@0.2.0 "output-stream" (type $"#type9 output-stream" (@name "output-stream") (;9;)))
  (core func $"#core-func12 resource.drop" (@name "resource.drop") (;12;) (canon resource.drop $"#type9 output-stream"))
  (core instance $wasi:io/streams@0.2.0 (;2;)
    (export "[method]output-stream.blocking-write-and-flush" (func $"indirect-wasi:io/streams@0.2.0-[method]output-stream.blocking-write-and-flush"))
    (export "[resource-drop]output-stream" (func $"#core-func12 resource.drop"))
  )
  (core instance $main (;3;) (instantiate $main
      (with "wasi:http/types@0.2.0" (instance $wasi:http/types@0.2.0))
      (with "wasi:io/streams@0.2.0" (instance $wasi:io/streams@0.2.0))
    )
  )
  (alias core export $main "memory" (core memory $memory (;0;)))
  (core module $wit-component-fixup (;2;)
    (type (;0;) (func (param i32 i32 i32 i32 i32 i32)))
    (type (;1;) (func (param i32 i32)))
    (type (;2;) (func (param i32 i32 i32 i32)))
    (type (;3;) (func (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
    (type (;4;) (func (param i32 i32 i32) (result i32)))
    (import "actual" "0" (func $0 (;0;) (type 0) (param i32 i32 i32 i32 i32 i32)))
    (import "actual" "1" (func $1 (;1;) (type 1) (param i32 i32)))
    (import "actual" "2" (func $2 (;2;) (type 1) (param i32 i32)))
    (import "actual" "3" (func $3 (;3;) (type 2) (param i32 i32 i32 i32)))
    (import "actual" "4" (func $4 (;4;) (type 3) (param i32 i32 i32 i32 i64 i32 i32 i32 i32)))
    (import "actual" "5" (func $5 (;5;) (type 4) (param i32 i32 i32) (result i32)))
    (import "actual" "6" (func $6 (;6;) (type 2) (param i32 i32 i32 i32)))
    (import "shim" "$imports" (table (;0;) 7 7 funcref))
    (elem (;0;) (i32.const 0) func $0 $1 $2 $3 $4 $5 $6)
    (@producers
      (processed-by "wit-component" "0.262.0")
    )
  )
  (alias export $wasi:http/types@0.2.0 "[method]fields.append" (func $"[method]fields.append" (;3;)))
  (core func $"#core-func13 indirect-wasi:http/types@0.2.0-[method]fields.append" (@name "indirect-wasi:http/types@0.2.0-[method]fields.append") (;13;) (canon lower (func $"[method]fields.append") (memory $memory) string-encoding=utf8))
  (alias export $wasi:http/types@0.2.0 "[method]outgoing-response.body" (func $"[method]outgoing-response.body" (;4;)))
  (core func $"#core-func14 indirect-wasi:http/types@0.2.0-[method]outgoing-response.body" (@name "indirect-wasi:http/types@0.2.0-[method]outgoing-response.body") (;14;) (canon lower (func $"[method]outgoing-response.body") (memory $memory)))
  (alias export $wasi:http/types@0.2.0 "[method]outgoing-body.write" (func $"[method]outgoing-body.write" (;5;)))
  (core func $"#core-func15 indirect-wasi:http/types@0.2.0-[method]outgoing-body.write" (@name "indirect-wasi:http/types@0.2.0-[method]outgoing-body.write") (;15;) (canon lower (func $"[method]outgoing-body.write") (memory $memory)))
  (alias export $wasi:http/types@0.2.0 "[static]outgoing-body.finish" (func $"[static]outgoing-body.finish" (;6;)))
  (alias core export $main "cabi_realloc" (core func $cabi_realloc (;16;)))
  (core func $"#core-func17 indirect-wasi:http/types@0.2.0-[static]outgoing-body.finish" (@name "indirect-wasi:http/types@0.2.0-[static]outgoing-body.finish") (;17;) (canon lower (func $"[static]outgoing-body.finish") (memory $memory) (realloc $cabi_realloc) string-encoding=utf8))
  (alias export $wasi:http/types@0.2.0 "[static]response-outparam.set" (func $"[static]response-outparam.set" (;7;)))
  (core func $"#core-func18 indirect-wasi:http/types@0.2.0-[static]response-outparam.set" (@name "indirect-wasi:http/types@0.2.0-[static]response-outparam.set") (;18;) (canon lower (func $"[static]response-outparam.set") (memory $memory) string-encoding=utf8))
  (alias export $wasi:http/types@0.2.0 "[method]fields.has" (func $"[method]fields.has" (;8;)))
  (core func $"#core-func19 indirect-wasi:http/types@0.2.0-[method]fields.has" (@name "indirect-wasi:http/types@0.2.0-[method]fields.has") (;19;) (canon lower (func $"[method]fields.has") (memory $memory) string-encoding=utf8))
  (alias export $wasi:io/streams@0.2.0 "[method]output-stream.blocking-write-and-flush" (func $"[method]output-stream.blocking-write-and-flush" (;9;)))
  (core func $"#core-func20 indirect-wasi:io/streams@0.2.0-[method]output-stream.blocking-write-and-flush" (@name "indirect-wasi:io/streams@0.2.0-[method]output-stream.blocking-write-and-flush") (;20;) (canon lower (func $"[method]output-stream.blocking-write-and-flush") (memory $memory)))
  (core instance $actual (;4;)
    (export "0" (func $"#core-func13 indirect-wasi:http/types@0.2.0-[method]fields.append"))
    (export "1" (func $"#core-func14 indirect-wasi:http/types@0.2.0-[method]outgoing-response.body"))
    (export "2" (func $"#core-func15 indirect-wasi:http/types@0.2.0-[method]outgoing-body.write"))
    (export "3" (func $"#core-func17 indirect-wasi:http/types@0.2.0-[static]outgoing-body.finish"))
    (export "4" (func $"#core-func18 indirect-wasi:http/types@0.2.0-[static]response-outparam.set"))
    (export "5" (func $"#core-func19 indirect-wasi:http/types@0.2.0-[method]fields.has"))
    (export "6" (func $"#core-func20 indirect-wasi:io/streams@0.2.0-[method]output-stream.blocking-write-and-flush"))
  )
  (core instance $fixup (;5;) (instantiate $wit-component-fixup
      (with "actual" (instance $actual))
      (with "shim" (instance $wit-component-shim-instance))
    )
  )
  (type (;10;) (own $incoming-request))
  (type (;11;) (own $response-outparam))
  (type (;12;) (func (param "request" 10) (param "response-out" 11)))
  (alias core export $main "wasi:http/incoming-handler@0.2.0#handle" (core func $wasi:http/incoming-handler@0.2.0#handle (;21;)))
  (func $handle (;10;) (type 12) (canon lift (core func $wasi:http/incoming-handler@0.2.0#handle)))
  (component $wasi:http/incoming-handler@0.2.0-shim-component (;0;)
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
  (instance $wasi:http/incoming-handler@0.2.0-shim-instance (;3;) (instantiate $wasi:http/incoming-handler@0.2.0-shim-component
      (with "import-func-handle" (func $handle))
      (with "import-type-incoming-request" (type $incoming-request))
      (with "import-type-response-outparam" (type $response-outparam))
      (with "import-type-incoming-request0" (type $incoming-request))
      (with "import-type-response-outparam0" (type $response-outparam))
    )
  )
  (export $wasi:http/incoming-handler@0.2.0 (;4;) "wasi:http/incoming-handler@0.2.0" (instance $wasi:http/incoming-handler@0.2.0-shim-instance))
  (@producers
    (processed-by "wit-component" "0.262.0")
  )
)
