main() {
  usage "./dev run [--no-install] [BERTH SERVE FLAGS…]
Builds and serves ./examples/functions on 127.0.0.1:8080 (PORT chooses another port)." "$@"
  common_flags "$@"
  set_up
  need_go
  need_runtimes
  build_binary
  "build/$preset/bin/berth" fn build --dir examples/functions >&2
  exec "build/$preset/bin/berth" serve examples/functions "${rest[@]}"
}
