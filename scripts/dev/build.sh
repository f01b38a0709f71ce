main() {
  usage "./dev build [--preset=release|debug|asan|tsan|fuzz] [--no-install]
Installs what is missing and builds build/<preset>/bin/berth." "$@"
  common_flags "$@"
  refuse_rest
  set_up
  build_binary
  say "build/$preset/bin/berth"
}
