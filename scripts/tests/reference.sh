# The generated references are what the binary and the sources say now.
run_counted reference scripts/reference "build/$preset/bin/berth" --check
