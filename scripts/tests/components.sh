# Components that other tool chains build from public packages, served by the built binary. The tools and what they built
# are kept outside the clone; the first run installs them.
component_tools="$cache_root/components"
if [ ! -x "$component_tools/js/node_modules/.bin/jco" ]; then
  say "installing jco and componentize-js into $component_tools"
  mkdir -p "$component_tools/js"
  (cd "$component_tools/js" && { [ -f package.json ] || echo '{"private": true}' >package.json; } \
    && npm install --silent --no-audit --no-fund @bytecodealliance/jco@1.15.0 @bytecodealliance/componentize-js@0.19.1) >&2 || say_error "jco could not be installed"
fi
if [ ! -x "$component_tools/py/bin/componentize-py" ]; then
  say "installing componentize-py into $component_tools"
  { python3 -m venv "$component_tools/py" && "$component_tools/py/bin/pip" install --quiet 'componentize-py==0.25.0'; } >&2 || say_error "componentize-py could not be installed"
fi
component_guests="$component_tools/guests"
for kind in javascript python; do
  python3 tests/components/build.py "$kind" "$component_tools" "$component_guests/hello-$kind.wasm" >&2 || say_error "the $kind component could not be built"
done
run_counted components python3 tests/components/runner.py "build/$preset/bin/berth" "$component_guests" "build/$preset/test-results/components.json"
