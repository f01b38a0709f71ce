# Every JSON document that a verb prints against its printed schema; completion in the shells that are here.
run_counted documents python3 tests/documents/run.py "build/$preset/bin/berth" "build/$preset/test-results/documents.json"
