# The library as programs find it: installed into an empty prefix, each public header compiled alone, the example built
# against it and run.
run_counted embed tests/embed/run.sh "build/$preset"
