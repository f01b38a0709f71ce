main() {
  usage "./dev fuzz [TARGET…] [--seconds=N] [--no-install]
Builds the fuzz targets (fuzz/) with clang and runs each of them, or those that are named, for N seconds (60). What it finds lies
in build/fuzz/findings." "$@"
  common_flags "$@"
  local seconds=60 targets=() argument
  for argument in "${rest[@]}"; do
    case "$argument" in
      --seconds=*) seconds=${argument#*=} ;;
      -*) say_error "unexpected argument \"$argument\"; see ./dev fuzz --help"; exit 2 ;;
      *) targets+=("$argument") ;;
    esac
  done
  for argument in "${targets[@]}"; do
    [ -f "fuzz/${argument}_fuzz.cpp" ] || { say_error "there is no fuzz target \"$argument\"; fuzz/ has one for each file NAME_fuzz.cpp"; exit 2; }
  done
  set_up
  need_packages "${test_packages[@]}" libclang-rt-22-dev:/usr/lib/llvm-22/lib/clang/22/lib/linux
  preset=fuzz
  if [ ${#targets[@]} -eq 0 ]; then
    for argument in fuzz/*_fuzz.cpp; do
      argument=$(basename "$argument" _fuzz.cpp)
      targets+=("$argument")
    done
  fi
  build "${targets[@]/#/fuzz_}"
  local name status=0
  mkdir -p build/fuzz/findings
  for name in "${targets[@]}"; do
    say "fuzzing $name for $seconds s"
    mkdir -p "build/fuzz/corpus/$name"
    "build/fuzz/fuzz/fuzz_$name" -max_total_time="$seconds" -print_final_stats=1 "-artifact_prefix=build/fuzz/findings/$name-" "build/fuzz/corpus/$name" "fuzz/corpus/$name" || status=1
  done
  return $status
}
