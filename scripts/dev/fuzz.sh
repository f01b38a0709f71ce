main() {
  usage "./dev fuzz [TARGET…] [--seconds=N]
Builds the fuzz targets with clang and runs each for N seconds of processor time (60)." "$@"
  common_flags "$@"
  local seconds=60 targets=() argument
  for argument in "${rest[@]}"; do
    case "$argument" in
      --seconds=*) seconds=${argument#*=} ;;
      *) targets+=("$argument") ;;
    esac
  done
  set_up
  need_packages "${test_packages[@]}" libclang-rt-22-dev:/usr/lib/llvm-22/lib/clang/22/lib/linux
  preset=fuzz
  build all
  local binary name status=0
  for binary in build/fuzz/fuzz/*_fuzz; do
    name=$(basename "$binary" _fuzz)
    if [ ${#targets[@]} -gt 0 ] && [[ " ${targets[*]} " != *" $name "* ]]; then continue; fi
    say "fuzzing $name for $seconds s"
    mkdir -p "build/fuzz/corpus/$name"
    "$binary" -max_total_time="$seconds" -print_final_stats=1 "build/fuzz/corpus/$name" "fuzz/corpus/$name" || status=1
  done
  return $status
}
