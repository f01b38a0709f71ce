#!/bin/sh
# Needs Node. The compiler is taken from PATH (asc), else installed beside this file.
set -e
cd "$(dirname "$0")"
mkdir -p functions
if ! command -v asc >/dev/null; then
  [ -x node_modules/.bin/asc ] || npm install --no-audit --no-fund
  PATH="$PWD/node_modules/.bin:$PATH"
fi
asc assembly/index.ts --optimize --runtime stub --use abort= --outFile functions/@NAME@.wasm
printf 'entry: add\n' >functions/@NAME@.yaml
