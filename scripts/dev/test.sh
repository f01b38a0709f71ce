# Every suite adds to these; the last line printed is their sum.
passed=0
failed=0
failed_suites=()
suite_began=$SECONDS

# record NAME PASSED FAILED
record() {
  passed=$((passed + $2))
  failed=$((failed + $3))
  [ "$3" -eq 0 ] || failed_suites+=("$1")
  say "$1: $2 passed, $3 failed ($((SECONDS - suite_began)) s)"
  suite_began=$SECONDS
}

# What the suites that failed said last, once more, so that it stands where a long log ends.
repeat_failures() {
  local name
  for name in "${failed_suites[@]}"; do
    say_error "$name failed:"
    tail -n 25 "build/$preset/test-results/$name.txt" 2>/dev/null | cut -c 1-600 >&2 || true
  done
  say_error "failed: ${failed_suites[*]}"
}

# A GoogleTest executable; its own XML report says how many ran.
run_gtest() {
  local name=$1 binary=$2
  shift 2
  local report="build/$preset/test-results/$name.xml" status=0
  rm -f "$report"
  mkdir -p "build/$preset/test-results"
  "$binary" --gtest_brief=1 "--gtest_output=xml:$report" "$@" | tee "build/$preset/test-results/$name.txt" || status=$?
  if [ ! -f "$report" ]; then
    record "$name" 0 1
    say_error "$name ended with status $status before it finished"
    return
  fi
  local head total bad
  head=$(grep -m1 '<testsuites ' "$report")
  total=$(sed -n 's/.*tests="\([0-9]*\)".*/\1/p' <<<"$head")
  bad=$(sed -n 's/.*failures="\([0-9]*\)".*/\1/p' <<<"$head")
  [ "$status" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
  record "$name" $((total - bad)) "$bad"
}

# A program that prints `N passed, N failed` as its last line and exits 0 only when nothing failed.
run_counted() {
  local name=$1 status=0 line
  shift
  mkdir -p "build/$preset/test-results"
  "$@" | tee "build/$preset/test-results/$name.txt" || status=$?
  line=$(grep -E '^[0-9]+ passed, [0-9]+ failed' "build/$preset/test-results/$name.txt" | tail -n 1 || true)
  if [ -z "$line" ]; then
    record "$name" 0 1
    return
  fi
  local good bad
  good=${line%% *}
  bad=$(sed 's/.*, \([0-9]*\) failed.*/\1/' <<<"$line")
  [ "$status" -eq 0 ] || [ "$bad" -gt 0 ] || bad=1
  record "$name" "$good" "$bad"
}

main() {
  usage "./dev test [--filter PATTERN] [--preset=…] [--no-install]
Builds everything and runs every test. --filter takes a GoogleTest pattern and runs the unit tests that match it." "$@"
  common_flags "$@"
  local filter=
  while [ ${#rest[@]} -gt 0 ]; do
    case "${rest[0]}" in
      --filter) filter=${rest[1]:?--filter needs a pattern}; rest=("${rest[@]:2}") ;;
      --filter=*) filter=${rest[0]#*=}; rest=("${rest[@]:1}") ;;
      *) refuse_rest ;;
    esac
  done
  # All at once: what is missing is named together and installed in one go.
  need_packages "${build_packages[@]}" "${test_packages[@]}" "${runtime_packages[@]}"
  set_up
  if [ -n "$filter" ]; then
    need_runtimes
    build berth_tests
    run_gtest unit "build/$preset/berth_tests" "--gtest_filter=$filter"
  else
    need_go
    need_runtimes
    build all
    build_binary
    suite_began=$SECONDS
    run_counted layers scripts/check_layers
    run_gtest unit "build/$preset/berth_tests"
    local suite
    for suite in scripts/tests/*.sh; do
      [ -f "$suite" ] || continue
      source "$suite"
    done
  fi
  if [ "$failed" -gt 0 ]; then repeat_failures; fi
  printf '%d passed, %d failed\n' "$passed" "$failed"
  [ "$failed" -eq 0 ]
}
