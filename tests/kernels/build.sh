#!/bin/sh
# Builds the kernels beside their sources. The modules are kept in the tree, so that their totals can be pinned: another
# compiler makes other code.
set -eu
cd "$(dirname "$0")"
for source in *.c; do
    "${CLANG:-clang-22}" --target=wasm32-wasi --sysroot=/usr -O2 -mbulk-memory -nostartfiles -Wno-deprecated \
        -Wl,--no-entry,--strip-all -o "${source%.c}.wasm" "$source"
done
