#!/bin/bash
# HTTP answers of 27 bytes of JSON over kept-alive connections: server CPU per request, in one run, against nginx.
#
#   bench/http_bench.sh BUILD_DIR [SECONDS [ROUNDS]]
#
# The server runs on processor 0, the client on processor 1. Peers that are not installed are left out and named.
# With HTTP_BENCH_EXTRA='NAME URL PID' a running server is measured too (several: separated by semicolons).
set -euo pipefail
build=${1:?build directory}
seconds=${2:-4}
rounds=${3:-3}
work=$(mktemp -d)
pids=()
finish() {
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap finish EXIT
command -v wrk >/dev/null || { echo "http_bench: wrk is not installed (apt-get install wrk)" >&2; exit 69; }

# Processor time of a process and its children that live, in nanoseconds.
cpu_of() {
    local sum=0 pid
    for pid in "$1" $(pgrep -P "$1" || true); do
        local t=0 file
        for file in /proc/"$pid"/task/*/schedstat; do t=$((t + $(cut -d' ' -f1 "$file"))); done
        sum=$((sum + t))
    done
    echo "$sum"
}

declare -A best
cat >"$work/post.lua" <<'LUA'
wrk.method = "POST"
wrk.body = '{"name":"Ada"}'
wrk.headers["Content-Type"] = "application/json"
LUA

measure() {  # name url pid [post]
    local before after requests
    local -a post=()
    if [ "${4:-}" = post ]; then post=(-s "$work/post.lua"); fi
    taskset -c 1 wrk -t1 -c64 -d1 "${post[@]}" "$2" >/dev/null
    before=$(cpu_of "$3")
    taskset -c 1 wrk -t1 -c64 -d"$seconds" "${post[@]}" "$2" >"$work/wrk"
    after=$(cpu_of "$3")
    requests=$(awk '/requests in/ {print $1}' "$work/wrk")
    if grep -q 'Non-2xx' "$work/wrk"; then echo "http_bench: $1 answered with failures" >&2; exit 1; fi
    awk -v name="$1" -v n="$requests" -v t=$((after - before)) -v rate="$(awk '/Requests\/sec/ {print $2}' "$work/wrk")" \
        'BEGIN {printf "%-16s %9.0f requests/s  %7.3f us CPU/request\n", name, rate, t / n / 1000}'
    local cost
    cost=$(awk -v n="$requests" -v t=$((after - before)) 'BEGIN {printf "%d", t / n}')
    if [ -z "${best[$1]:-}" ] || [ "$cost" -lt "${best[$1]}" ]; then best[$1]=$cost; fi
}

mkfifo "$work/hold"
taskset -c 0 "$build/bench/http_floor" <"$work/hold" >"$work/floor" &
floor=$!
pids+=("$floor")
exec 9>"$work/hold"
until grep -q Listening "$work/floor"; do read -rt 0.05 <> <(:) || true; done
floor_url=$(awk '{print $3}' "$work/floor")/

berth_pid=
if [ -x "$build/bin/berth" ]; then
    mkdir "$work/functions"
    cp -r "$(dirname "$0")/../examples/hello-wasm" "$work/functions/"
    taskset -c 0 "$build/bin/berth" serve "$work/functions" --port 0 >"$work/berth" 2>"$work/berth.log" &
    berth_pid=$!
    pids+=("$berth_pid")
    until grep -q Listening "$work/berth"; do read -rt 0.05 <> <(:) || true; done
    berth_url=$(awk '/Listening/ {print $3}' "$work/berth")/api/functions/hello-wasm
fi

nginx_pid=
if command -v nginx >/dev/null; then
    port=$((20000 + RANDOM % 20000))
    cat >"$work/nginx.conf" <<CONF
worker_processes 1; pid $work/nginx.pid; error_log $work/error.log; daemon off;
events { worker_connections 1024; }
http { access_log off;
  server { listen 127.0.0.1:$port; location / { default_type application/json; return 200 '{"message":"Hello, World!"}'; } } }
CONF
    taskset -c 0 nginx -p "$work" -c "$work/nginx.conf" 2>/dev/null &
    nginx_pid=$!
    pids+=("$nginx_pid")
    until [ -s "$work/nginx.pid" ]; do read -rt 0.05 <> <(:) || true; done
else
    echo "http_bench: nginx is not installed; left out"
fi

for ((round = 0; round < rounds; ++round)); do
    measure floor "$floor_url" "$floor"
    if [ -n "$berth_pid" ]; then measure hello-wasm "$berth_url" "$berth_pid" post; fi
    if [ -n "$nginx_pid" ]; then measure nginx "http://127.0.0.1:$port/" "$nginx_pid"; fi
    if [ -n "${HTTP_BENCH_EXTRA:-}" ]; then
        while read -r name url pid; do [ -n "$name" ] && measure "$name" "$url" "$pid"; done < <(tr ';' '\n' <<<"$HTTP_BENCH_EXTRA")
    fi
done
if [ -n "$nginx_pid" ]; then
    for name in "${!best[@]}"; do
        [ "$name" = nginx ] && continue
        awk -v name="$name" -v a="${best[$name]}" -v b="${best[nginx]}" 'BEGIN {printf "%s / nginx = %.2f\n", name, a / b}'
    done
fi
