# Command-line cases: files below tests/cli, run against the installed binary.
run_counted cli python3 tests/cli/runner.py "build/$preset/bin/berth" "build/$preset/test-results/cli.json"
