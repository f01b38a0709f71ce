main() {
  usage "./dev bench [--no-install]
Measures against peers, as ratios in one run: instances, calls and stops, metering, HTTP." "$@"
  common_flags "$@"
  refuse_rest
  set_up
  need_packages "${test_packages[@]}" "${bench_packages[@]}"
  build engine_bench engine_peer metering_bench http_floor
  build_binary
  say "instances, calls and stops, beside a Rust program on the same engine"
  "build/$preset/bench/engine_bench" --peer "build/$preset/engine_peer"
  say "metering, kernels in interleaved rounds"
  "build/$preset/bench/metering_bench" tests/kernels
  say "HTTP, processor time of the server for each request"
  bash bench/http_bench.sh "build/$preset"
}
