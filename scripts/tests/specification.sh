# The WebAssembly specification tests through Berth's own loader; the first run converts them.
build berth_spec
run_counted specification "build/$preset/tests/spec/berth_spec" "build/$preset/spec"
