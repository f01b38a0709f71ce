# The served path end to end: the built binary, real interpreters, a port that the system picks.
run_counted serve python3 tests/serve/runner.py "build/$preset/bin/berth" "build/$preset/test-results/serve.json"
