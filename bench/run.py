#!/usr/bin/env python3
"""Measures the build against its peers, prints one table of figures with goal and verdict, and records it.

    bench/run.py BUILD_DIR [--peers DIR] [--only PART,…] [--long]

Figures are ratios of processor time wherever both sides can be measured, in interleaved rounds; waiting is measured by
the clock. The record build/bench.json names the commit and the binary; figures of the same binary are kept when only
some parts are measured again."""
import argparse
import hashlib
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root / "bench"))
import http_rows  # noqa: E402

# name: (relation, goal, unit, what it is)
GOALS = {
    "instance-fresh-16": ("<=", 0.20, "x", "fresh instance, 16 dirty pages, to the engine's default pooling"),
    "instance-restored-16": ("<=", 0.06, "x", "restored in place, 16 dirty pages, to default pooling"),
    "instance-restored-16-tuned": ("<=", 0.25, "x", "restored in place, 16 dirty pages, to the best tuned Rust program"),
    "instance-restored-1-us": ("<=", 0.5, "us", "restored in place, one dirty page"),
    "call-host-to-guest": ("<=", 1.15, "x", "host to guest, unmetered, to the typed Rust call"),
    "call-limited-ns": ("<=", 30, "ns", "more for a budget and a deadline"),
    "call-guest-to-host-ns": ("<=", 3, "ns", "guest to host over the typed Rust call, stop mark included"),
    "call-gate-ns": ("<=", 15, "ns", "more for the gate: grant, budget, counts"),
    "start-hello": ("<=", 1.0, "x", "berth run of a cached module to wasmtime run with its cache, wall"),
    "start-hello-cpu": ("<=", 1.0, "x", "the same in processor time"),
    "start-cached-program": ("<=", 1.0, "x", "a Go program from the cache to 10 ms + 5 ms per MB, wall"),
    "recording": ("<=", 1.15, "x", "a run of 6,000 host calls and 0.15 s of computing, recorded to not, CPU"),
    "deterministic": ("<=", 1.10, "x", "the same run deterministic to live"),
    "http-wasmtime-serve": ("<=", 0.35, "x", "27 bytes of JSON, fresh instance: server CPU per request to wasmtime serve"),
    "http-nginx": ("<=", 1.7, "x", "the same to nginx return 200"),
    "http-node": ("info", None, "x", "the same to a Node server"),
    "http-component": ("<=", 0.7, "x", "the same component file: server CPU per request to wasmtime serve"),
    "metered": ("<=", 1.12, "x", "kernels, metered under a deadline, to unmetered, geometric mean"),
    "metered-engine-fuel": ("<=", 0.83, "x", "the same to the engine's own fuel"),
    "metered-engine-epochs": ("<=", 0.87, "x", "the same to the engine's epochs"),
    "stop-tight-p99-ms": ("<=", 5, "ms", "stop of a tight loop, from the deadline to the answer"),
    "stop-host_loop-p99-ms": ("<=", 5, "ms", "stop of a loop of host calls"),
    "stop-bulk_loop-p99-ms": ("<=", 5, "ms", "stop of a loop of bulk operations"),
    "stops-failures": ("<=", 0, "", "failures among so many stops"),
    "stops-count": ("info", None, "", "stops"),
    "window-earliest-ms": (">=", 300, "ms", "wall limit of 300 ms with 31 others waiting: the first to end"),
    "window-latest-ms": ("<=", 326, "ms", "the last to end"),
    "markers-found": ("<=", 0, "", "markers of an earlier call found"),
    "markers-calls": ("info", None, "", "calls in which they were looked for, restored and fresh each"),
    "idle-cpu-percent": ("<=", 0.5, "%", "processor use of an idle server"),
    "memory-growth": ("<=", 1.05, "x", "resident memory after 10^6 requests to that after 10^3"),
}
# Figures that count for an acceptance row only when measured at full length.
FULL_LENGTH = {"stops-failures": ("stops-count", 1_000_000), "markers-found": ("markers-calls", 1_000_000)}


def say(text):
    print(f"bench: {text}", flush=True)


def rows_of(command):
    """Runs a program and takes its `row NAME VALUE` lines."""
    done = subprocess.run(command, capture_output=True, text=True)
    print(re.sub(r"^row .*\n", "", done.stdout, flags=re.M), end="", flush=True)
    if done.returncode != 0:
        sys.stderr.write(done.stderr)
        say(f"{command[0]} ended with {done.returncode}")
    return {name: float(value) for name, value in re.findall(r"^row (\S+) (\S+)$", done.stdout, flags=re.M)}


def whole_process(command, environment):
    """Wall and processor seconds of a process from its start to its end."""
    begin = time.monotonic()
    quiet = os.open(os.devnull, os.O_RDWR)
    child = os.posix_spawn(command[0], command, environment, file_actions=[(os.POSIX_SPAWN_DUP2, quiet, 0), (os.POSIX_SPAWN_DUP2, quiet, 1), (os.POSIX_SPAWN_DUP2, quiet, 2)])
    _, status, used = os.wait4(child, 0)
    wall = time.monotonic() - begin
    os.close(quiet)
    if status != 0:
        raise RuntimeError(f"{' '.join(command)} failed")
    return wall, used.ru_utime + used.ru_stime


class Bench:
    def __init__(self, build, peers, long):
        self.build, self.peers, self.long = build, peers, long
        self.berth = str(build / "bin/berth")
        self.wasmtime = None
        if peers:
            found = sorted(peers.glob("wasmtime/lib/python3*/site-packages/wasmtime_cli/wasmtime"))
            self.wasmtime = str(found[0]) if found else None

    def engine(self):
        return rows_of([self.build / "bench/engine_bench", "--peer", self.build / "engine_peer"])

    def windows(self):
        return rows_of([self.build / "bench/engine_bench", "--windows"])

    def stops(self):
        return rows_of([self.build / "bench/engine_bench", "--stops", "1000000" if self.long else "20000"])

    def markers(self):
        return rows_of([self.build / "bench/engine_bench", "--markers", "1000000" if self.long else "20000"])

    def metering(self):
        return rows_of([self.build / "bench/metering_bench", root / "tests/kernels"])

    def start(self):
        rows = {}
        with tempfile.TemporaryDirectory() as folder:
            environment = {"PATH": os.environ["PATH"], "HOME": folder}
            guest = root / "bench/hello.wat"
            ours = [self.berth, "run", str(guest)]
            if self.wasmtime:
                theirs = [self.wasmtime, "run", "-C", "cache=y", str(guest)]
                for command in (ours, theirs):
                    whole_process(command, environment)
                pairs = [(whole_process(ours, environment), whole_process(theirs, environment)) for _ in range(60)]
                rows["start-hello"] = statistics.median(a[0] / b[0] for a, b in pairs)
                rows["start-hello-cpu"] = statistics.median(a[1] / b[1] for a, b in pairs)
                print(f"berth run {statistics.median(a[0] for a, _ in pairs) * 1e3:.2f} ms, wasmtime run {statistics.median(b[0] for _, b in pairs) * 1e3:.2f} ms")
            program = self.go_program(folder)
            if program:
                megabytes = program.stat().st_size / 1e6
                command = [self.berth, "run", str(program), "--version"]
                whole_process(command, environment)
                took = statistics.median(whole_process(command, environment)[0] for _ in range(15)) * 1e3
                rows["start-cached-program"] = took / (10 + 5 * megabytes)
                print(f"{program.name}: {megabytes:.1f} MB of wasm, {took:.1f} ms from the cache")
        return rows

    def journal(self):
        rows = {}
        with tempfile.TemporaryDirectory() as folder:
            environment = {"PATH": os.environ["PATH"], "HOME": folder}
            guest = str(root / "bench/records.wat")
            commands = {"live": [self.berth, "run", guest], "recorded": [self.berth, "run", "--record", f"{folder}/r.bj", guest], "deterministic": [self.berth, "run", "--deterministic", guest]}
            for command in commands.values():
                whole_process(command, environment)
            rounds = [{name: whole_process(command, environment)[1] for name, command in commands.items()} for _ in range(15)]
            rows["recording"] = statistics.median(each["recorded"] / each["live"] for each in rounds)
            rows["deterministic"] = statistics.median(each["deterministic"] / each["live"] for each in rounds)
            print(f"records.wat: live {statistics.median(each['live'] for each in rounds) * 1e3:.0f} ms of processor time")
        return rows

    def go_program(self, folder):
        kept = self.peers and self.peers / "gojq.wasm"
        if kept and kept.exists():
            return kept
        say("no Go program: ./dev bench --peers builds one")
        return None

    def http(self):
        return http_rows.measure(self.build, self.wasmtime, root, 5 if self.long else 3)

    def serving(self):
        return http_rows.serving(self.build, root, 1_000_000 if self.long else 100_000)


PARTS = ["engine", "windows", "stops", "markers", "metering", "start", "journal", "http", "serving"]


def verdict(relation, goal, value):
    if value is None:
        return "not measured"
    if relation == "info":
        return ""
    return "met" if (value <= goal if relation == "<=" else value >= goal) else "MISSED"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("build", type=Path)
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--long", action="store_true")
    arguments = parser.parse_args()
    chosen = [part for part in arguments.only.split(",") if part]
    for part in chosen:
        if part not in PARTS:
            sys.exit(f"bench: there is no part {part}; there are {', '.join(PARTS)}")
    binary = hashlib.sha256((arguments.build / "bin/berth").read_bytes()).hexdigest()
    record_file = root / "build/bench.json"
    values = {}
    if record_file.exists():
        before = json.loads(record_file.read_text())
        if before.get("binary") == binary:
            values = {name: row["value"] for name, row in before["rows"].items()}
    bench = Bench(arguments.build, arguments.peers, arguments.long)
    for part in chosen:
        say(part)
        try:
            values |= getattr(bench, part)()
        except (RuntimeError, OSError) as problem:
            say(f"{part}: {problem}")

    rows = {}
    print(f"\n{'figure':<28} {'value':>12} {'goal':>10}  verdict")
    for name, (relation, goal, unit, text) in GOALS.items():
        value = values.get(name)
        judged = verdict(relation, goal, value)
        shown = "-" if value is None else f"{value:.4g} {unit}"
        print(f"{name:<28} {shown:>12} {'' if goal is None else f'{relation} {goal}':>10}  {judged:<13} {text}")
        if value is not None:
            full = name not in FULL_LENGTH or values.get(FULL_LENGTH[name][0], 0) >= FULL_LENGTH[name][1]
            rows[name] = {"value": value, "unit": unit, "goal": goal, "relation": relation, "met": judged == "met" and full, "full_length": full}
    git = lambda *words: subprocess.run(["git", "-C", root, *words], capture_output=True, text=True).stdout.strip()
    record_file.parent.mkdir(exist_ok=True)
    record_file.write_text(json.dumps({"$type": "berth.bench", "commit": git("rev-parse", "HEAD"), "changed": bool(git("status", "--porcelain", "--untracked-files=no")), "binary": binary,
                                       "machine": f"{platform.machine()}, {os.cpu_count()} processors, Linux {platform.release()}", "rows": rows}, indent=1) + "\n")
    say(f"recorded in {record_file.relative_to(root)}")
    missed = [name for name, row in rows.items() if not row["met"] and row["relation"] != "info" and row["full_length"]]
    sys.exit(1 if missed else 0)


main()
