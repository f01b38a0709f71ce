# Once more with instances made anew for each call. Left out is what never restores: the specification tests, the tests
# from Rust, and the command-line cases, since a single run keeps no instance; and what tests the restoring itself.
export BERTH_ENGINE_RESTORE=off
run_gtest unit-without-restoring "build/$preset/berth_tests" '--gtest_filter=-Restore.*'
run_counted serve-without-restoring python3 tests/serve/runner.py "build/$preset/bin/berth" "build/$preset/test-results/serve-without-restoring.json"
unset BERTH_ENGINE_RESTORE
