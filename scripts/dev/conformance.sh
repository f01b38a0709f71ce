main() {
  usage "./dev conformance [--preset=…]
Prints each acceptance row with pass, part, fail or not done, from the reports of the last ./dev test, and writes
build/conformance.json. Nothing counts that did not run." "$@"
  common_flags "$@"
  refuse_rest
  if [ ! -d "build/$preset/test-results" ]; then
    say_error "there are no reports of a test run; run ./dev test first"
    exit 66
  fi
  scripts/conformance "build/$preset/test-results"
}
