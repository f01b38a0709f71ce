main() {
  usage "./dev run [--no-install] [BERTH SERVE FLAGS…]
Builds and serves ./examples on 127.0.0.1:8080 (PORT chooses another port)." "$@"
  common_flags "$@"
  set_up
  build_binary
  exec "build/$preset/bin/berth" serve examples "${rest[@]}"
}
