main() {
  cat <<'TEXT'
./dev VERB [--help]: everything needed to work on Berth. Installs what is missing first.

  run          build, then serve ./examples/functions on 127.0.0.1:8080
  test         build, then run every test; continuous integration runs exactly this
  build        build/release/bin/berth
  bench        measure against peers, as ratios in one run
  fuzz         run the fuzz targets
  check        layers, form, clang-tidy, the tests under the sanitizers (--only PART,…)
  conformance  print each acceptance row with pass, fail or not done
  dist         a relocatable archive
  doctor       what this machine has for building and running
  clean        remove build/ (caches stay; --caches removes those too)

Flags of every verb: --no-install (name missing packages instead of installing them), --preset=NAME.
TEXT
}
