# Programs of others, prebuilt and built, from the Go proxy.
run_counted guests python3 tests/guests/runner.py "build/$preset/bin/berth" "build/$preset/test-results/guests.json"
