#!/bin/sh
# Needs Node. The tools are taken from PATH (jco), else installed beside this file.
set -e
cd "$(dirname "$0")"
mkdir -p functions
if ! command -v jco >/dev/null; then
  [ -x node_modules/.bin/jco ] || npm install --no-audit --no-fund
  PATH="$PWD/node_modules/.bin:$PATH"
fi
jco componentize app.js --wit wit --world-name app --disable http --disable fetch-event --out functions/@NAME@.wasm
