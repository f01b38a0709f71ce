main() {
  usage "./dev check [--no-install]
Layers, the form of the sources and clang-tidy (.clang-tidy), then the unit tests under the address and undefined-behaviour sanitizers and under the
thread sanitizer." "$@"
  common_flags "$@"
  refuse_rest
  set_up
  need_packages "${test_packages[@]}" "${check_packages[@]}"
  need_go
  local status=0
  scripts/check_layers || status=1
  scripts/check_format || status=1
  preset=release
  build berth_tests
  scripts/check_tidy "$root/build/release" || status=1
  for preset in asan tsan; do
    build berth_tests
    TSAN_OPTIONS="suppressions=$root/tests/support/tsan.supp ${TSAN_OPTIONS:-}" "build/$preset/berth_tests" --gtest_brief=1 || status=1
  done
  return $status
}
