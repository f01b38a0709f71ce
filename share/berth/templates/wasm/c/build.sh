#!/bin/sh
# Needs clang with a WASI C library: apt-get install clang lld wasi-libc libclang-rt-dev-wasm32, or a WASI SDK in WASI_SDK_PATH.
set -e
cd "$(dirname "$0")"
mkdir -p functions
if [ -n "$WASI_SDK_PATH" ]; then
  "$WASI_SDK_PATH/bin/clang" -O2 -o functions/@NAME@.wasm handler.c
else
  for clang in clang-22 clang-21 clang-20 clang-19 clang; do
    command -v "$clang" >/dev/null && break
  done
  "$clang" --target=wasm32-wasi --sysroot=/usr -O2 -o functions/@NAME@.wasm handler.c
fi
