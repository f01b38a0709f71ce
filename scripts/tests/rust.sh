# The lifetime rules of the engine binding, tried from Rust.
run_cargo_tests() {
  local log="build/$preset/test-results/rust.txt" status=0 good bad
  CARGO_TARGET_DIR="$cache_root/cargo" flock "$cache_root/cargo/berth-native.lock" \
    cargo test --release --locked --quiet --manifest-path rust/berth-native/Cargo.toml >"$log" 2>&1 || status=$?
  good=$(awk '/^test result:/ {sum += $4} END {print sum + 0}' "$log")
  bad=$(awk '/^test result:/ {sum += $6} END {print sum + 0}' "$log")
  if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
  [ "$bad" -eq 0 ] || cat "$log" >&2
  record rust "$good" "$bad"
}
run_cargo_tests
