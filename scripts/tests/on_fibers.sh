# Once more with every call of a module on a fiber, also of functions that do not wait.
export BERTH_ENGINE_FIBERS=always
run_counted serve-on-fibers python3 tests/serve/runner.py "build/$preset/bin/berth" "build/$preset/test-results/serve-on-fibers.json"
unset BERTH_ENGINE_FIBERS
