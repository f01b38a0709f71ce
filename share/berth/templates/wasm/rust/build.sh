#!/bin/sh
# Needs Rust with the target wasm32-wasip1: rustup target add wasm32-wasip1
set -e
cd "$(dirname "$0")"
mkdir -p functions
cargo build --release --quiet --target wasm32-wasip1
cp target/wasm32-wasip1/release/@NAME@.wasm functions/
