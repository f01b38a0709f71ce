#!/usr/bin/env bash
# run.sh BUILD: installs the library of BUILD and builds examples/embed against it. Last line: `N passed, M failed`.
set -uo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
build=$root/$1
cd "$root"
passed=0
failed=0
check() {
  local what=$1
  shift
  if "$@"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    printf 'embed: failed: %s\n' "$what"
  fi
}
finish() {
  rm -rf "$work"
  printf '%d passed, %d failed\n' "$passed" "$failed"
  [ "$failed" -eq 0 ]
  exit
}
work=$(mktemp -d)
prefix=$work/prefix

# A library built with sanitizers links only into programs built with them.
sanitize=$(sed -n 's/^BERTH_SANITIZE:[A-Z]*=//p' "$build/CMakeCache.txt")
flags=
[ -z "$sanitize" ] || flags=-fsanitize=$sanitize

check "install" cmake --install "$build" --component embed --prefix "$prefix" >"$work/install.log" 2>&1 || { cat "$work/install.log"; finish; }
for header in $(cd "$prefix/include" && find berth -name '*.hpp' | sort); do
  check "$header alone" g++ -std=c++23 -Wall -Wextra -Wpedantic -Werror -fsyntax-only -I "$prefix/include" -include "$header" -x c++ /dev/null
done
check "nothing but the standard library in the headers" test -z "$(grep -rhE '^ *# *include +<[^>]*[./]' "$prefix/include")"
check "configure" cmake -S examples/embed -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Debug "-DCMAKE_PREFIX_PATH=$prefix" "-DCMAKE_CXX_FLAGS=$flags" >"$work/cmake.log" 2>&1 || { cat "$work/cmake.log"; finish; }
check "build" cmake --build "$work/build" >"$work/make.log" 2>&1 || { tail -n 20 "$work/make.log"; finish; }
check "the example has at most 40 lines" test "$(wc -l <examples/embed/main.cpp)" -le 40

embed=$work/build/embed
cat >"$work/add.wat" <<'WAT'
(module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
WAT
check "it calls" test "$("$embed" "$work/add.wat" add 2 40 2>"$work/usage")" = 42
check "it reads usage" grep -Eq '^fuel [1-9][0-9]*, peak memory 0, host calls 0$' "$work/usage"
cat >"$work/random.wat" <<'WAT'
(module (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32))) (memory (export "memory") 1)
  (func (export "dice") (result i32) (call $random (i32.const 0) (i32.const 4))))
WAT
check "nothing is granted that is not named" test "$("$embed" "$work/random.wat" dice 2>"$work/denied")" = 76
check "a denial says what would grant it" grep -q 'denied: random.secure; to grant it: grants: {random.secure: {}}' "$work/denied"
printf 'no module' >"$work/bad.wasm"
check "what is no module is refused" test "$("$embed" "$work/bad.wasm" 2>&1 >/dev/null | wc -l)" -ge 1
finish
