check_parts="layers format tidy asan tsan threads"

main() {
  usage "./dev check [--only PART,…] [--no-install]
What the tests do not look for. Parts, in this order; --only chooses among them:
  layers   what modules include and link (scripts/layers.txt)
  format   the form of the sources
  tidy     clang-tidy (.clang-tidy)
  asan     the unit tests, and those of the command line and of serving, under the address and undefined-behaviour
           sanitizers
  tsan     the unit tests, and those of serving, under the thread sanitizer
  threads  functions called, left, stopped and changed at once, with a host under the thread sanitizer; recorded in
           build/check.json, from which ./dev conformance takes it" "$@"
  common_flags "$@"
  local chosen=$check_parts part status=0
  while [ ${#rest[@]} -gt 0 ]; do
    case "${rest[0]}" in
      --only) chosen=${rest[1]:?--only needs parts: ${check_parts// /,}}; rest=("${rest[@]:2}") ;;
      --only=*) chosen=${rest[0]#*=}; rest=("${rest[@]:1}") ;;
      *) refuse_rest ;;
    esac
  done
  chosen=${chosen//,/ }
  for part in $chosen; do
    [[ " $check_parts " == *" $part "* ]] || { say_error "there is no part \"$part\" of check; there are ${check_parts// /, }"; exit 2; }
  done
  set_up
  need_packages "${test_packages[@]}" "${check_packages[@]}" "${runtime_packages[@]}"
  need_go
  for part in $check_parts; do
    [[ " $chosen " == *" $part "* ]] || continue
    say "$part"
    "check_$part" || { say_error "$part failed"; status=1; }
  done
  return $status
}

check_layers() { scripts/check_layers; }
check_format() { scripts/check_format; }

check_tidy() {
  preset=release
  build build.ninja  # and with it the list of what is compiled how; no source is made by the build
  scripts/check_tidy "$root/build/release"
}

check_asan() {
  preset=asan
  build berth_tests
  build_binary
  local suite status=0
  build/asan/berth_tests --gtest_brief=1 || status=1
  for suite in cli serve; do
    say "$suite"
    python3 "tests/$suite/runner.py" build/asan/bin/berth "build/asan/test-results/$suite.json" || status=1
  done
  return $status
}

check_tsan() {
  preset=tsan
  build berth_tests
  build_binary
  local status=0 folder
  build/tsan/berth_tests --gtest_brief=1 || status=1
  say serve
  # The cases give their servers an environment of their own; a report is a failure whatever the case says.
  folder=$(mktemp -d)
  printf '#!/bin/sh\nTSAN_OPTIONS="log_path=%s/report %s" exec "%s/build/tsan/bin/berth" "$@"\n' "$folder" "${TSAN_OPTIONS:-}" "$root" >"$folder/berth"
  chmod +x "$folder/berth"
  python3 tests/serve/runner.py "$folder/berth" build/tsan/test-results/serve.json || status=1
  if compgen -G "$folder/report.*" >/dev/null; then cat "$folder"/report.*; status=1; fi
  rm -rf "$folder"
  return $status
}

check_threads() {
  need_runtimes
  preset=release
  build_binary
  preset=tsan
  build_binary
  scripts/check_threads build/release build/tsan
}
