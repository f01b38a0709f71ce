main() {
  usage "./dev clean [--caches]
Removes build/; with --caches also the compiler and cargo caches of Berth." "$@"
  rm -rf build
  if [ "${1:-}" = --caches ]; then rm -rf "$cache_root"; fi
}
