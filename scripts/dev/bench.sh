main() {
  usage "./dev bench [--no-install]
Measures against peers, as ratios in one run: instances, calls and stops, metering, HTTP." "$@"
  common_flags "$@"
  refuse_rest
  set_up
  need_packages "${test_packages[@]}" "${bench_packages[@]}"
  build all
  local one
  for one in engine_bench metering_bench; do
    if [ -x "build/$preset/bench/$one" ]; then say "$one"; "build/$preset/bench/$one"; fi
  done
  if [ -f bench/http_bench.sh ]; then build_binary; bash bench/http_bench.sh "build/$preset"; fi
}
