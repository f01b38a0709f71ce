main() {
  usage "./dev fuzz [TARGET…] [--seconds=N] [--no-install]
Builds the fuzz targets (fuzz/) with clang and runs each of them, or those that are named, until it has had N seconds of a processor
(60). What it finds lies in build/fuzz/findings, what each target did in build/fuzz.json, from which ./dev conformance takes it: runs
of the same build add up, and a target counts from ten minutes without a finding." "$@"
  common_flags "$@"
  local seconds=60 targets=() argument
  for argument in "${rest[@]}"; do
    case "$argument" in
      --seconds=*)
        seconds=${argument#*=}
        [[ "$seconds" =~ ^[1-9][0-9]*$ ]] || { say_error "--seconds=$seconds: a whole number of seconds is needed"; exit 2; }
        ;;
      -*) say_error "unexpected argument \"$argument\"; see ./dev fuzz --help"; exit 2 ;;
      *) targets+=("$argument") ;;
    esac
  done
  for argument in "${targets[@]}"; do
    [ -f "fuzz/${argument}_fuzz.cpp" ] || { say_error "there is no fuzz target \"$argument\"; fuzz/ has one for each file NAME_fuzz.cpp"; exit 2; }
  done
  set_up
  need_packages "${test_packages[@]}" libclang-rt-22-dev:/usr/lib/llvm-22/lib/clang/22/lib/linux
  preset=release
  build_binary
  preset=fuzz
  if [ ${#targets[@]} -eq 0 ]; then
    for argument in fuzz/*_fuzz.cpp; do
      argument=$(basename "$argument" _fuzz.cpp)
      targets+=("$argument")
    done
  fi
  build "${targets[@]/#/fuzz_}"
  scripts/fuzz build/release build/fuzz "$seconds" "${targets[@]}"
}
