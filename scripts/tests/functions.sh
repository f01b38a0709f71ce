# Functions in every language, with the real runtimes: processes, protocol, routes, reload, SDKs, verbs.
run_counted functions python3 tests/functions/runner.py "build/$preset/bin/berth" "build/$preset/test-results/functions.json"
