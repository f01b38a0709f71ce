#!/bin/sh
# Builds the modules beside the source, one for each edition of the line tables in use. They are kept in the tree.
set -eu
cd "$(dirname "$0")"
for version in 4 5; do
    "${CLANG:-clang-22}" --target=wasm32-wasi --sysroot=/usr -O1 -gline-tables-only -gdwarf-$version -fdebug-compilation-dir=. -nostartfiles \
        -nostdlib -Wno-deprecated -Wl,--no-entry -o "lines-dwarf$version.wasm" lines.c
done
