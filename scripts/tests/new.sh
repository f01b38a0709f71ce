# `berth new`: every template written, built where its tools are, and called. The AssemblyScript compiler and jco (which
# the tests of components install) are kept outside the clone.
if [ ! -x "$cache_root/assemblyscript/node_modules/.bin/asc" ]; then
  say "installing assemblyscript into $cache_root/assemblyscript"
  mkdir -p "$cache_root/assemblyscript"
  npm install --silent --no-audit --no-fund --prefix "$cache_root/assemblyscript" assemblyscript@0.28.20 >&2 || say_error "assemblyscript could not be installed"
fi
run_counted new python3 tests/templates/run.py "build/$preset/bin/berth" "build/$preset/test-results/new.json" \
  "$cache_root/assemblyscript/node_modules/.bin" "$cache_root/components/js/node_modules/.bin"
