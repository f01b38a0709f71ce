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
import function_rows  # noqa: E402
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
    "check-ns": ("<=", 100, "ns", "the check of a grant with a scope, the slowest of seven"),
    "check-allocations": ("<=", 0, "", "allocations of all of them"),
    "start-hello": ("<=", 1.0, "x", "berth run of a cached module to wasmtime run with its cache, wall"),
    "start-hello-cpu": ("<=", 1.0, "x", "the same in processor time"),
    "start-cached-program": ("<=", 1.0, "x", "a Go program from the cache to 10 ms + 5 ms per MB, wall"),
    "recording": ("<=", 1.15, "x", "a run of 6,000 host calls and 0.15 s of computing, recorded to not, CPU"),
    "deterministic": ("<=", 1.10, "x", "the same run deterministic to live"),
    "http-wasmtime-serve": ("<=", 0.30, "x", "27 bytes of JSON, fresh instance: server CPU per request to wasmtime serve"),
    "http-wasmtime-tuned": ("<=", 0.60, "x", "the same to wasmtime serve with its pool tuned"),
    "http-nginx": ("<=", 1.4, "x", "the same to nginx return 200"),
    "http-node": ("info", None, "x", "the same to a Node server"),
    "http-component": ("<=", 0.7, "x", "the same component file: server CPU per request to wasmtime serve"),
    "fair-p50": ("<=", 1.5, "x", "latency of others at 70 % load beside a tenant in a busy loop, to the same load without, median"),
    "fair-p99": ("<=", 1.5, "x", "the same, 99th percentile"),
    "fair-p99-wasmtime": ("<=", 0.5, "x", "the 99th percentile beside the busy loop, one component file, to wasmtime serve -W timeout"),
    "suspend-ns": ("<=", 150, "ns", "a guest that waits, over what ends the wait"),
    "waiting-guests": (">=", 5000, "", "guests that wait at once"),
    "waiting-guest-kib": ("<=", 32, "KiB", "what each of them holds over its memory"),
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
    "fn-call-group": ("<=", 1.30, "x", "P1 engine call of a static echo to bare system calls, trees by session"),
    "fn-call-cgroup": ("<=", 1.50, "x", "P1 the same, trees by control group"),
    "fn-call-origin": ("<=", 1.00, "x", "P3 the same to Go os/exec"),
    "fn-throughput-origin": (">=", 1.4, "x", "P3 calls a second, 16 at once, to Go os/exec"),
    "fn-large-origin": ("<=", 0.35, "x", "P7 64 MiB in and out, to Go os/exec"),
    "fn-host-size": ("<=", 1.10, "x", "P8 a call in a host of 2 GiB to one of its own size"),
    "fn-thousand-at-16": ("<=", 1.15, "x", "P11 1000 calls of 100 ms at 16 places to the ideal"),
    "fn-scan-1000-ms": ("<=", 300, "ms", "P12 scan of 1000 functions with manifests"),
    "fn-json-strings": (">=", 1.5, "GB/s", "P15 check of a 64 MiB text of strings"),
    "fn-json-numbers": (">=", 0.6, "GB/s", "P15 the same of numbers"),
    "fn-front-stand-in": (">=", 1.3, "x", "P6 requests a second of a static echo, 16 connections, to a stand-in: Go net/http with os/exec"),
    "fn-runtime-node-ms": ("<=", 0.3, "ms", "P2 a call of a Node function over 1.03 times bare system calls, median"),
    "fn-runtime-python-ms": ("<=", 0.3, "ms", "P2 the same, Python"),
    "fn-runtime-ruby-ms": ("<=", 0.3, "ms", "P2 the same, Ruby"),
    "fn-runtime-deno-ms": ("<=", 0.3, "ms", "P2 the same, Deno"),
    "fn-runtime-bun-ms": ("<=", 0.3, "ms", "P2 the same, Bun"),
    "fn-throughput-node": (">=", 0.98, "x", "P4 calls of a Node function a second, twice the processors at once, to Go os/exec"),
    "fn-throughput-python": (">=", 0.98, "x", "P4 the same, Python"),
    "fn-front-p50-ms": ("<=", 0.20, "ms", "P5 a call over HTTP over the call of the engine, median"),
    "fn-front-p99-ms": ("<=", 1, "ms", "P5 the same at half load, 99th percentile"),
    "fn-waiting-kib": ("<=", 16, "KiB", "P9 memory of the host for a call that waits, over an idle connection"),
    "fn-running-kib": ("<=", 64, "KiB", "P9 the same for one that runs"),
    "fn-deadline-p99-ms": ("<=", 50, "ms", "P10 from a deadline to the 504, 99th percentile"),
    "fn-deadline-dead-p99-ms": ("<=", 200, "ms", "P10 from the end of the grace to the end of the tree, 99th percentile"),
    "fn-tree-answer-ms": ("<=", 50, "ms", "A39 from the deadline of a tree of 200 processes that ignore SIGTERM to the 504, the latest"),
    "fn-tree-dead-ms": ("<=", 200, "ms", "A39 from the end of its grace to its end, the latest"),
    "fn-timeout-earliest-ms": (">=", 1000, "ms", "A40 a limit of 1 s in seven runtimes: the first 504 after the launch"),
    "fn-timeout-latest-ms": ("<=", 1050, "ms", "A40 the last"),
    "fn-reload-ms": ("<=", 150, "ms", "P12 from a save to the news, one function of 1000; 100 of it wait for further saves"),
    "fn-saves-wrong": ("<=", 0, "", "A78 saves in eight ways that were not seen as exactly one change"),
    "fn-saves-failures": ("<=", 0, "", "A78 calls that failed while files were saved"),
    "fn-saves-each": ("info", None, "", "A78 saves in each way"),
    "fn-mixed-memory-mb": ("<=", 5, "MiB", "A62 memory that mixed calls, half of them faults, leave after the first 1000"),
    "fn-mixed-descriptors": ("<=", 0, "", "A62 descriptors they leave"),
    "fn-mixed-children": ("<=", 0, "", "A62 processes they leave"),
    "fn-mixed-calls": ("info", None, "", "A62 calls"),
    "soak-memory-mib": ("<=", 5, "MiB", "memory that mixed calls, half of them faults, leave after the first tenth"),
    "soak-descriptors": ("<=", 0, "", "descriptors they leave"),
    "soak-threads": ("<=", 0, "", "threads they leave"),
    "soak-slots": ("<=", 8, "", "instances that can be there at once no longer; each thread may keep one idle for the next call"),
    "soak-slots-there": ("info", None, "", "instances that can be there at once, counted up to 4,000"),
    "soak-failures": ("<=", 0, "", "calls that did not end as they must"),
    "soak-calls": ("info", None, "", "calls"),
    "revoke-wait-p999-ms": ("<=", 10, "ms", "a sleep under a revoked grant, from the revocation to the end of the call, 99.9th percentile"),
    "revoke-wait-p50-ms": ("info", None, "ms", "the same, median"),
    "revoke-late-effects": ("<=", 0, "", "effects of host calls that started after the revocation"),
    "revoke-failures": ("<=", 0, "", "revocations that were not answered with a denial"),
    "revoke-tries": ("info", None, "", "revocations"),
    "memory-growth": ("<=", 1.05, "x", "resident memory after 10^6 requests to that after 10^3"),
}
# Figures that count for an acceptance row only when measured at full length.
FULL_LENGTH = {"fn-saves-wrong": ("fn-saves-each", 50), "fn-saves-failures": ("fn-saves-each", 50), "stops-failures": ("stops-count", 1_000_000), "markers-found": ("markers-calls", 1_000_000),
               "fn-mixed-memory-mb": ("fn-mixed-calls", 100_000), "fn-mixed-descriptors": ("fn-mixed-calls", 100_000), "fn-mixed-children": ("fn-mixed-calls", 100_000),
               "revoke-wait-p999-ms": ("revoke-tries", 1_000_000), "revoke-late-effects": ("revoke-tries", 1_000_000),
               "soak-memory-mib": ("soak-calls", 1_000_000), "soak-descriptors": ("soak-calls", 1_000_000), "soak-threads": ("soak-calls", 1_000_000), "soak-slots": ("soak-calls", 1_000_000), "soak-failures": ("soak-calls", 1_000_000)}


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
    """The parts that need more than one program; each method gives its rows."""

    def __init__(self, build, peers, long):
        self.build, self.peers, self.long = build, peers, long
        self.berth = str(build / "bin/berth")
        self.wasmtime = None
        if peers:
            found = sorted(peers.glob("wasmtime/lib/python3*/site-packages/wasmtime_cli/wasmtime"))
            self.wasmtime = str(found[0]) if found else None

    def run(self, part):
        if part not in PROGRAMS:
            return getattr(self, part)()
        words, counts = PROGRAMS[part]
        program, *rest = [word.format(build=self.build, root=root, count=counts and counts[self.long]) for word in words]
        return rows_of([self.build / "bench" / program, *rest])

    def start(self):
        rows = {}
        with tempfile.TemporaryDirectory() as folder:
            environment = {"PATH": os.environ["PATH"], "HOME": folder}
            guest = root / "bench/hello.wat"
            berth = self.installed(folder)
            ours = [berth, "run", str(guest)]
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
                command = [berth, "run", str(program), "--version"]
                whole_process(command, environment)
                took = statistics.median(whole_process(command, environment)[0] for _ in range(15)) * 1e3
                rows["start-cached-program"] = took / (10 + 5 * megabytes)
                print(f"{program.name}: {megabytes:.1f} MB of wasm, {took:.1f} ms from the cache")
        return rows

    def installed(self, folder):
        """The binary as ./dev dist ships it and as its peer was installed: without debug information, in a file that was written in
        one go. Pages of a file as the linker leaves it are mapped in smaller pieces: some 60 page faults more in each process."""
        binary = Path(folder) / "installed/bin/berth"
        binary.parent.mkdir(parents=True)
        subprocess.run(["strip", "--strip-debug", "-o", binary, self.berth], check=True)
        (binary.parent.parent / "share").symlink_to(root / "share")
        return str(binary)

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

    def fairness(self):
        return http_rows.fairness(self.build, self.wasmtime, root, 9 if self.long else 5)

    def serving(self):
        return http_rows.serving(self.build, root, 1_000_000 if self.long else 100_000)

    def functions(self):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            self.make_program(folder, "echo", "bench/fn_echo.c")
            (folder / "sleeper").mkdir()
            (folder / "sleeper/handler").write_text("#!/bin/sh\ncat >/dev/null\nsleep 0.1\necho '{\"success\":true}'\n")
            (folder / "sleeper/handler").chmod(0o755)
            for i in range(1000):
                (folder / f"many/f{i}").mkdir(parents=True)
                (folder / f"many/f{i}/index.py").write_text("pass\n")
                (folder / f"many/f{i}/manifest.yaml").write_text("timeout: 5s\nenv: {A: b}\nroutes: []\n")
            origin = folder / "origin"
            subprocess.run(["go", "build", "-o", origin, root / "bench/fn_origin.go"], check=True, env=os.environ | {"GOFLAGS": "-mod=mod", "GO111MODULE": "off"})
            rows = rows_of([self.build / "bench/fn_bench", folder, origin])
            rows |= self.function_front(folder, origin)
            rows |= self.function_runtimes(folder, origin)
            return rows

    @staticmethod
    def make_program(folder, name, source):
        (folder / name).mkdir()
        subprocess.run(["cc", "-O2", "-static", "-o", folder / name / "handler", root / source], check=True)

    def function_mixed(self):
        with tempfile.TemporaryDirectory() as temporary:
            self.make_program(Path(temporary), "probe", "tests/functions/fn_probe.c")
            return rows_of([self.build / "bench/fn_bench", temporary, "--mixed", "100000" if self.long else "5000"])

    def function_runtimes(self, folder, origin):
        """Interpreters started by us and by bare system calls in turn; the front against the engine behind it."""
        runtimes = folder / "runtimes"
        for name, (file, text) in function_rows.ANSWERERS.items():
            (runtimes / name).mkdir(parents=True)
            (runtimes / name / file).write_text(text)
            (runtimes / name / "manifest.yaml").write_text(f"runtime: {name}\n")
        rows = rows_of([self.build / "bench/fn_bench", runtimes, "--runtimes", origin, root / "share/berth/runtimes.d"])
        with function_rows.host(self.berth, folder / "served") as (_, port):
            return rows | rows_of([self.build / "bench/fn_bench", folder, "--front", str(port)])

    def function_windows(self):
        rows = function_rows.windows(self.berth, root / "tests/functions/fn_probe.c", 2 if self.long else 1)
        rows |= function_rows.memory(self.berth, root / "tests/functions/fn_probe.c")
        return rows | function_rows.reload(self.berth)

    def function_saves(self):
        return function_rows.saved(self.berth, 50 if self.long else 3)

    def function_front(self, folder, origin):
        """Requests a second with wrk, ours and the stand-in in turn."""
        (folder / "served").mkdir()
        (folder / "served/echo").symlink_to(folder / "echo")
        ours = subprocess.Popen([self.berth, "serve", folder / "served", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={"PATH": os.environ["PATH"], "HOME": str(folder)})
        theirs = subprocess.Popen([origin, folder / "echo/handler", "serve"], stdout=subprocess.PIPE, text=True)
        script = folder / "post.lua"
        script.write_text('wrk.method = "POST"\nwrk.body = "{}"\nwrk.headers["Content-Type"] = "application/json"\n')
        try:
            addresses = [ours.stdout.readline().removeprefix("Listening on ").strip() + "/api/functions/echo", f"http://127.0.0.1:{theirs.stdout.readline().strip()}/"]
            rates = ([], [])
            for _ in range(5):
                for i, address in enumerate(addresses):
                    out = subprocess.run(["wrk", "-t1", "-c16", "-d2", "-s", script, address], capture_output=True, text=True).stdout
                    rates[i].append(float(re.search(r"Requests/sec:\s+([\d.]+)", out).group(1)))
            print(f"front: {statistics.median(rates[0]):.0f}/s, stand-in {statistics.median(rates[1]):.0f}/s")
            return {"fn-front-stand-in": statistics.median(a / b for a, b in zip(*rates))}
        finally:
            ours.terminate()
            theirs.terminate()
            ours.wait()
            theirs.wait()


# Parts that are one program, which prints its rows: its words, and how often it goes round in short and in full length.
PROGRAMS = {
    "engine": (["engine_bench", "--peer", "{build}/engine_peer"], None),
    "windows": (["engine_bench", "--windows"], None),
    "stops": (["engine_bench", "--stops", "{count}"], (20_000, 1_000_000)),
    "markers": (["engine_bench", "--markers", "{count}"], (20_000, 1_000_000)),
    "revoke": (["revoke_bench", "{count}"], (10_000, 1_000_000)),
    "soak": (["soak_bench", "{count}"], (20_000, 1_000_000)),
    "metering": (["metering_bench", "{root}/tests/kernels"], None),
    "suspend": (["suspend_bench"], None),
    "checks": (["check_bench"], None),
}
PARTS = ["engine", "windows", "stops", "markers", "revoke", "soak", "metering", "start", "journal", "http", "fairness", "suspend", "checks", "serving", "functions", "function_windows", "function_mixed", "function_saves"]


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
            values |= bench.run(part)
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
