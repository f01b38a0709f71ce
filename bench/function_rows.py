"""Windows of time, memory and reload of functions, measured at a host that runs. Figures, not tests."""
import contextlib
import http.client
import json
import os
import re
import select
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

root = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(root / "tests/functions"))
import saves  # noqa: E402

# What a function does that outlives its time, by the runtime.
SLEEPERS = {
    "node": ("index.js", "setTimeout(() => {}, 1e6)\n"),
    "deno": ("main.ts", "await new Promise((done) => setTimeout(done, 1e6))\n"),
    "bun": ("index.ts", "await new Promise((done) => setTimeout(done, 1e6))\n"),
    "python": ("index.py", "import time\ntime.sleep(1000)\n"),
    "ruby": ("index.rb", "sleep 1000\n"),
    "go": ("main.go", "package main\n\nimport \"time\"\n\nfunc main() { time.Sleep(time.Hour) }\n"),
    "rust": ("main.rs", "fn main() { std::thread::sleep(std::time::Duration::from_secs(1000)) }\n"),
}
ANSWERERS = {
    "node": ("index.js", "process.stdin.resume().on('end', () => console.log('{\"success\":true,\"output\":1}'))\n"),
    "deno": ("main.ts", "await new Response(Deno.stdin.readable).text()\nconsole.log('{\"success\":true,\"output\":1}')\n"),
    "bun": ("index.ts", "await Bun.stdin.text()\nconsole.log('{\"success\":true,\"output\":1}')\n"),
    "python": ("index.py", "import sys\nsys.stdin.read()\nprint('{\"success\":true,\"output\":1}')\n"),
    "ruby": ("index.rb", "$stdin.read\nputs '{\"success\":true,\"output\":1}'\n"),
}


def percentile(values, part):
    return sorted(values)[min(len(values) - 1, int(part * len(values)))]


@contextlib.contextmanager
def host(berth, folder, *words, config=""):
    """`berth serve` or another verb over a folder; its process and port."""
    with tempfile.TemporaryDirectory(prefix="berth-bench-") as home:
        environment = {**os.environ, "XDG_STATE_HOME": home + "/state", "LC_ALL": "C.UTF-8"}
        file = Path(home) / "berth.yaml"
        file.write_text(config or "environment: development\n")
        process = subprocess.Popen([berth, *(words or ("serve",)), str(folder), "--port", "0", "--config", str(file)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment, cwd=home)
        first = process.stdout.readline()
        if not first.startswith("Listening on "):
            process.wait()
            raise RuntimeError(f"berth did not listen: {first!r}")
        threading.Thread(target=lambda: all(process.stdout), daemon=True).start()
        try:
            yield process, int(first.strip().rpartition(":")[2])
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait()


def call(port, name, value="{}"):
    """One call on a connection of its own: status, seconds from its launch to the answer, answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    begin = time.monotonic()
    connection.request("POST", f"/api/functions/{name}", body=value, headers={"Content-Type": "application/json"})
    answer = connection.getresponse()
    text = answer.read()
    took = time.monotonic() - begin
    timing = dict(re.findall(r"(\w+);dur=([\d.]+)", answer.headers.get("Server-Timing", "")))
    connection.close()
    return answer.status, took - (float(timing.get("queue", 0)) + float(timing.get("spawn", 0))) / 1e3, json.loads(text)


def tree_of(function):
    """The processes that carry the mark of a function."""
    mark = f"ALYX_FUNCTION_NAME={function}\0".encode()
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if mark in Path(entry.path, "environ").read_bytes():
                    found.append(int(entry.name))
    return found


def is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (OSError, IndexError):
        return False


def until_dead(pids, since):
    while any(is_alive(pid) for pid in pids):
        time.sleep(0.002)
    return time.monotonic() - since


def timed_out(port, name, value, limit, expected=1):
    """A call that passes its limit: seconds from the deadline to the answer, and to the end of its tree."""
    result = []
    thread = threading.Thread(target=lambda: result.append(call(port, name, value) + (time.monotonic(),)))
    thread.start()
    pids = []
    while len(pids) < expected and thread.is_alive():
        pids = tree_of(name)
    thread.join()
    status, took, answer, end = result[0]
    if status != 504 or len(pids) < expected:
        raise RuntimeError(f"{name}: {status} {answer}, {len(pids)} processes")
    deadline = end - (took - limit)
    return took - limit, until_dead(pids, deadline)


def windows(berth, probe_source, rounds):
    """A39, A40, P10: when a call that takes too long is answered, and when nothing is left of it."""
    rows = {}
    with tempfile.TemporaryDirectory(prefix="berth-windows-") as temporary:
        folder = Path(temporary) / "functions"
        probe = folder / "probe"
        probe.mkdir(parents=True)
        subprocess.run(["cc", "-O2", "-static", "-o", probe / "handler", probe_source], check=True)
        (probe / "manifest.yaml").write_text("timeout: 500ms\nkill_grace: 200ms\n")
        shutil.copytree(probe, folder / "tree")
        (folder / "tree/manifest.yaml").write_text("timeout: 2s\nkill_grace: 500ms\n")
        for name, (file, text) in SLEEPERS.items():
            (folder / name).mkdir()
            (folder / name / file).write_text(text)
            (folder / name / "manifest.yaml").write_text(f"runtime: {name}\ntimeout: 1s\nkill_grace: 0s\nqueue_timeout: 5m\n")
        with host(berth, folder) as (_, port):
            late, dead = [], []
            for _ in range(100 * rounds):
                answered, gone = timed_out(port, "probe", '{"do":"ignore-term"}', 0.5)
                late.append(answered)
                dead.append(gone - 0.2)
            rows["fn-deadline-p99-ms"] = percentile(late, 0.99) * 1e3
            rows["fn-deadline-dead-p99-ms"] = percentile(dead, 0.99) * 1e3
            answers, ends, sizes = [], [], []
            for _ in range(5 * rounds):
                answered, gone = timed_out(port, "tree", '{"do":"wide-tree"}', 2.0, 200)
                answers.append(answered)
                ends.append(gone - 0.5)
            rows["fn-tree-answer-ms"] = max(answers) * 1e3
            rows["fn-tree-dead-ms"] = max(ends) * 1e3
            earliest, latest = [], []
            for name in SLEEPERS:
                if shutil.which({"python": "python3", "rust": "rustc"}.get(name, name)) is None:
                    raise RuntimeError(f"{name} is not installed")
                call(port, name)  # compiles what is compiled
                took = [call(port, name)[1] * 1e3 for _ in range(3 * rounds)]
                print(f"{name}: 504 after {min(took):.1f} to {max(took):.1f} ms")
                earliest.append(min(took))
                latest.append(max(took))
            rows["fn-timeout-earliest-ms"] = min(earliest)
            rows["fn-timeout-latest-ms"] = max(latest)
    return rows


def resident(pid):
    """Memory of its own, in KiB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(value) for value in re.findall(r"^(?:Private_Clean|Private_Dirty): +(\d+) kB$", text, flags=re.M))


def memory(berth, probe_source):
    """P9: memory of the host for each call that waits, and for each that runs, over an idle connection."""
    count = 300
    with tempfile.TemporaryDirectory(prefix="berth-memory-") as temporary:
        folder = Path(temporary) / "functions"
        (folder / "runs").mkdir(parents=True)
        subprocess.run(["cc", "-O2", "-static", "-o", folder / "runs/handler", probe_source], check=True)
        shutil.copytree(folder / "runs", folder / "waits")
        (folder / "runs/manifest.yaml").write_text("timeout: 10m\nkill_grace: 0s\n")
        (folder / "waits/manifest.yaml").write_text("timeout: 10m\nconcurrency: 1\nconcurrency_queue: 1000\nqueue_timeout: 5m\nkill_grace: 0s\n")
        rows = {}
        with host(berth, folder, config="functions: {max_concurrency: 1000, queue_depth: 2000}\n") as (process, port):
            body = b'{"do":"sleep"}'

            def connect():
                made = socket.create_connection(("127.0.0.1", port))
                made.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
                made.recv(4096)
                return made

            def send(connections, name):
                for one in connections:
                    one.sendall(b"POST /api/functions/" + name.encode() + b" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: " + str(len(body)).encode() + b"\r\n\r\n" + body)

            def metric(name):
                connection = http.client.HTTPConnection("127.0.0.1", port)
                connection.request("GET", "/metrics")
                text = connection.getresponse().read().decode()
                connection.close()
                return sum(float(value) for value in re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, flags=re.M))

            warm = [connect() for _ in range(8)]
            send(warm, "runs")
            while len(tree_of("runs")) < 8:
                time.sleep(0.05)
            for name, row in (("waits", "fn-waiting-kib"), ("runs", "fn-running-kib")):
                connections = [connect() for _ in range(count)]
                before = resident(process.pid)
                send(connections, name)
                if name == "waits":
                    while metric("berth_calls_queued") < count - 1:
                        time.sleep(0.05)
                else:
                    while len(tree_of("runs")) < count + 8:
                        time.sleep(0.2)
                rows[row] = (resident(process.pid) - before) / count
                print(f"{name}: {rows[row]:.1f} KiB for each of {count}")
                for one in connections:
                    one.close()
                while metric("berth_calls_in_flight") > 8:
                    time.sleep(0.05)
    return rows


class Events:
    """What a host tells of its functions, as it comes."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.sendall(b"GET /api/functions/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        self.rest = b""
        self.seen = []  # (when, type, function)
        self.read(0.2)

    def read(self, seconds):
        """Takes what comes until nothing more has come for so long."""
        while select.select([self.socket], [], [], seconds)[0]:
            part = self.socket.recv(65536)
            if not part:
                return
            now = time.monotonic()
            self.rest += part
            while b"\n" in self.rest:
                line, self.rest = self.rest.split(b"\n", 1)
                found = re.search(rb'data: ({.*})', line)
                if found:
                    event = json.loads(found.group(1))
                    self.seen.append((now, event.get("type"), event.get("function")))

    def changed(self, function):
        return [when for when, kind, name in self.seen if kind == "function.changed" and name == function]


def reload(berth):
    """P12: from the end of a save to the news, one function of 1000."""
    with tempfile.TemporaryDirectory(prefix="berth-many-") as temporary:
        folder = Path(temporary) / "functions"
        for i in range(1000):
            (folder / f"f{i}").mkdir(parents=True)
            (folder / f"f{i}/index.py").write_text("pass\n")
            (folder / f"f{i}/manifest.yaml").write_text("timeout: 5s\nenv: {A: b}\n")
        took = []
        with host(berth, folder, "fn", "dev") as (_, port):
            events = Events(port)
            for i in range(9):
                (folder / "f500/index.py").write_text(f"pass  # {i}\n")
                saved = time.monotonic()
                known = len(events.changed("f500"))
                while len(events.changed("f500")) == known:
                    events.read(0.001)
                took.append((events.changed("f500")[-1] - saved) * 1e3)
        print("reload of one function of 1000, ms:", " ".join(f"{one:.0f}" for one in took))
        return {"fn-reload-ms": statistics.median(took)}


def saved(berth, each):
    """A78: so many saves in each of eight ways while calls run: one change each, and no call fails."""
    patterns = [saves.in_place, saves.by_rename, saves.with_backup, saves.made_anew, saves.in_two_writes, saves.with_touch, saves.all_files, saves.checkout]
    wrong = failures = calls = 0
    with tempfile.TemporaryDirectory(prefix="berth-saves-") as temporary:
        folder = Path(temporary) / "functions"
        (folder / "hello").mkdir(parents=True)
        entry = folder / "hello/index.py"
        answer = "import sys\nsys.stdin.read()\nprint('{\"success\":true,\"output\":%d}')\n"
        entry.write_text(answer % 0)
        with host(berth, folder, "fn", "dev") as (_, port):
            events = Events(port)
            stop = threading.Event()
            outcomes = []

            def caller():
                while not stop.is_set():
                    outcomes.append(call(port, "hello")[0])
            thread = threading.Thread(target=caller)
            thread.start()
            try:
                number = 0
                for pattern in patterns:
                    for _ in range(each):
                        number += 1
                        known = len(events.changed("hello"))
                        pattern(entry, answer % number)
                        end = time.monotonic() + 30
                        while len(events.changed("hello")) == known and time.monotonic() < end:
                            events.read(0.02)
                        events.read(0.15)  # a second change would come now
                        if len(events.changed("hello")) != known + 1:
                            wrong += 1
                    print(f"{pattern.__name__}: {each} saves, {wrong} wrong so far")
            finally:
                stop.set()
                thread.join()
            failures = sum(status != 200 for status in outcomes)
            calls = len(outcomes)
    print(f"{calls} calls while saving, {failures} failed")
    return {"fn-saves-wrong": wrong, "fn-saves-failures": failures, "fn-saves-each": each}
