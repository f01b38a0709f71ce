"""Answers of 27 bytes of JSON over kept-alive connections: processor time of the server for each request, the servers in
turn on processor 0, the client (wrk) on processor 1; and what a server uses when it idles and after many requests."""
import os
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

POST = 'wrk.method = "POST"\nwrk.body = \'{"name":"Ada"}\'\nwrk.headers["Content-Type"] = "application/json"\n'
NODE = """const body = '{"message":"Hello, World!"}';
require('http').createServer((_, answer) => { answer.setHeader('content-type', 'application/json'); answer.end(body); })
  .listen(0, '127.0.0.1', function () { console.log('Listening on http://127.0.0.1:' + this.address().port + '/'); });"""

# Its pool of instances with memory that stays resident, still a fresh instance for each request.
TUNED = ["-O", "pooling-allocator=y", "-O", "pooling-memory-keep-resident=262144", "-O", "pooling-table-keep-resident=65536",
         "-O", "pooling-async-stack-keep-resident=65536", "-O", "pooling-pagemap-scan=auto"]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A running server, all its threads and children on processor 0."""

    def __init__(self, name, command, url=None, post=False, cwd=None, environment=None):
        self.name, self.post = name, post
        self.process = subprocess.Popen(["taskset", "-c", "0", *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, cwd=cwd, env=environment)
        if url is None:
            line = ""
            while "http://" not in line:
                line = self.process.stdout.readline()
                if not line:
                    raise RuntimeError(f"{name} did not start")
            url = re.search(r"http://\S+", line)[0]
        self.url = url
        self.wait_for_port()

    def wait_for_port(self):
        host, port = re.match(r"http://([^:/]+):(\d+)", self.url).groups()
        for _ in range(500):
            try:
                socket.create_connection((host, int(port)), 1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError(f"{self.name} does not listen")

    def processes(self):
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return [str(self.process.pid), *children]

    def cpu_seconds(self):
        # Of the whole process, threads that have ended included.
        total = 0
        for process in self.processes():
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
        return total / os.sysconf("SC_CLK_TCK")

    def settle(self):
        """Until it does nothing any more; some servers go on with requests whose client has gone."""
        for _ in range(300):
            before = self.cpu_seconds()
            time.sleep(0.2)
            if self.cpu_seconds() - before < 0.02:
                return
        raise RuntimeError(f"{self.name} does not come to rest")

    def resident(self):
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1])

    def load(self, seconds, folder):
        """Requests answered in that time."""
        command = ["taskset", "-c", "1", "wrk", "-t1", "-c64", f"-d{seconds}", self.url]
        if self.post:
            script = Path(folder) / "post.lua"
            script.write_text(POST)
            command += ["-s", str(script)]
        printed = subprocess.run(command, capture_output=True, text=True).stdout
        if "Non-2xx" in printed or "Socket errors" in printed:
            raise RuntimeError(f"{self.name} answered with failures:\n{printed}")
        return int(re.search(r"(\d+) requests in", printed)[1])

    def cost(self, seconds, folder):
        self.load(1, folder)
        before = self.cpu_seconds()
        requests = self.load(seconds, folder)
        return (self.cpu_seconds() - before) / requests * 1e6

    def stop(self):
        self.process.terminate()
        self.process.wait()


def berth(build, root, folder, what, name, path):
    functions = Path(folder) / name
    functions.mkdir()
    if what.is_dir():
        shutil.copytree(what, functions / what.name)
    else:
        shutil.copy(what, functions / what.name)
    environment = {"PATH": os.environ["PATH"], "HOME": folder}
    server = Server(name, [build / "bin/berth", "serve", functions, "--port", "0"], post=True, environment=environment)
    server.url = server.url.rstrip("/") + path
    return server


def nginx(folder):
    program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if not program:
        return None
    port = free_port()
    (Path(folder) / "nginx.conf").write_text(f"""worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log; daemon off;
events {{ worker_connections 1024; }}
http {{ access_log off; server {{ listen 127.0.0.1:{port};
  location / {{ default_type application/json; return 200 '{{"message":"Hello, World!"}}'; }} }} }}
""")
    return Server("nginx", [program, "-p", folder, "-c", f"{folder}/nginx.conf"], f"http://127.0.0.1:{port}/")


def measure(build, wasmtime, root, rounds):
    if not shutil.which("wrk"):
        raise RuntimeError("wrk is not installed (apt-get install wrk)")
    servers = []
    with tempfile.TemporaryDirectory() as folder:
        try:
            servers.append(berth(build, root, folder, root / "examples/functions/hello-wasm", "berth", "/api/functions/hello-wasm"))
            component = root / "tests/components/hello_http.wat"
            (Path(folder) / "component").mkdir()
            module = Path(folder) / "component/hello-component.wasm"
            shutil.copy(component, module)
            servers.append(berth(build, root, folder, module, "berth component", "/"))
            if wasmtime:
                port = free_port()
                servers.append(Server("wasmtime serve", [wasmtime, "serve", "--addr", f"127.0.0.1:{port}", component], f"http://127.0.0.1:{port}/"))
                port = free_port()
                servers.append(Server("wasmtime tuned", [wasmtime, "serve", *TUNED, "--addr", f"127.0.0.1:{port}", component], f"http://127.0.0.1:{port}/"))
            servers += filter(None, [nginx(folder)])
            if shutil.which("node"):
                servers.append(Server("node", [shutil.which("node"), "-e", NODE]))
            costs = {server.name: [] for server in servers}
            for _ in range(rounds):
                for server in servers:
                    costs[server.name].append(server.cost(3, folder))
        finally:
            for server in servers:
                server.stop()
    for name, each in costs.items():
        print(f"{name:<16} {statistics.median(each):8.2f} us CPU/request  ({min(each):.2f} to {max(each):.2f})")
    rows = {}
    for ours, peer, row in (("berth", "wasmtime serve", "http-wasmtime-serve"), ("berth", "wasmtime tuned", "http-wasmtime-tuned"), ("berth", "nginx", "http-nginx"), ("berth", "node", "http-node"),
                            ("berth component", "wasmtime serve", "http-component")):
        if ours in costs and peer in costs:
            rows[row] = statistics.median(a / b for a, b in zip(costs[ours], costs[peer]))
    return rows


def serving(build, root, requests):
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        server = berth(build, root, folder, root / "examples/functions/hello-wasm", "berth", "/api/functions/hello-wasm")
        try:
            answered = 0
            while answered < 1_000:
                answered += server.load(1, folder)
            early = server.resident()
            before, began = server.cpu_seconds(), time.monotonic()
            time.sleep(10)
            rows["idle-cpu-percent"] = (server.cpu_seconds() - before) / (time.monotonic() - began) * 100
            while answered < requests:
                answered += server.load(10, folder)
            rows["memory-growth"] = server.resident() / early
            print(f"resident memory {early} KiB after the first requests, {server.resident()} KiB after {answered}")
        finally:
            server.stop()
    return rows


class Spinner:
    """A tenant that is busy for ever: a request for a function that never answers, sent again when it was ended."""

    def __init__(self, server, request):
        self.address = re.match(r"http://([^:/]+):(\d+)", server.url).groups()
        self.request, self.over, self.connection = request, False, None
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.over:
            with socket.create_connection((self.address[0], int(self.address[1]))) as self.connection:
                self.connection.sendall(self.request)
                while not self.over and self.connection.recv(4096):
                    pass

    def stop(self):
        self.over = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.thread.join()


def open_loop(build, server, rate, seconds):
    """Latencies in us at a fixed rate of requests."""
    port, path = re.match(r"http://[^:/]+:(\d+)(/.*)?", server.url).groups()
    command = ["taskset", "-c", "1", build / "bench/open_loop", port, path or "/", str(rate), str(seconds)]
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"{server.name}: {done.stderr.strip() or 'open_loop failed'}")
    printed = done.stdout
    row = {name: float(value) for name, value in re.findall(r"^row (\S+) (\S+)$", printed, flags=re.M)}
    if row["failed"]:
        raise RuntimeError(f"{server.name}: {row['failed']:.0f} requests failed")
    return row


def fairness(build, wasmtime, root, rounds):
    """The latency of others at 70 % of what a server can do, with and without a tenant that computes for ever beside them."""
    servers = []
    shown = {}
    with tempfile.TemporaryDirectory() as folder:
        try:
            functions = Path(folder) / "functions"
            (functions / "spin").mkdir(parents=True)
            (functions / "spin/main.wat").write_text('(module (func (export "_start") (loop $again (br $again))))')
            shutil.copytree(root / "examples/functions/hello-wasm", functions / "hello-wasm")
            environment = {"PATH": os.environ["PATH"], "HOME": folder}
            ours = Server("berth", [build / "bin/berth", "serve", functions, "--port", "0"], post=True, environment=environment)
            servers.append(ours)
            ours.url = ours.url.rstrip("/") + "/api/functions/hello-wasm"
            module = root / "bench/spin_http.wat"
            (Path(folder) / "component").mkdir()
            shutil.copy(module, Path(folder) / "component/spin-http.wasm")
            component = Server("berth component", [build / "bin/berth", "serve", Path(folder) / "component", "--port", "0"], environment=environment)
            servers.append(component)
            if wasmtime:
                port = free_port()
                servers.append(Server("wasmtime serve", [wasmtime, "serve", "-W", "timeout=5s", "--addr", f"127.0.0.1:{port}", module], f"http://127.0.0.1:{port}/"))
            spins = {"berth": b"POST /api/functions/spin HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"}
            used = {server.name: [] for server in servers}
            for round in range(rounds):
                # What a server can do changes with the machine from minute to minute: asked again in each round, so that 70 % stay that.
                rates = {server.name: 0.7 * server.load(2, folder) / 2 for server in servers}
                for name, rate in rates.items():
                    if rate < 1:
                        raise RuntimeError(f"{name}: at full load it answered nothing within 2 s; others use the processors")
                if wasmtime:  # side by side at the rate that the slower one can bear
                    rates["berth component"] = rates["wasmtime serve"] = min(rates["berth component"], rates["wasmtime serve"])
                for server in servers:
                    rate = rates[server.name]
                    used[server.name].append(rate)
                    alone, beside = shown.setdefault(server.name, ([], []))
                    open_loop(build, server, rate, 0.5)

                    def busy(server=server, rate=rate, beside=beside):
                        spinner = Spinner(server, spins.get(server.name, b"GET / HTTP/1.1\r\nHost: localhost\r\nspin: 1\r\n\r\n"))
                        try:
                            time.sleep(0.3)
                            beside.append(open_loop(build, server, rate, 3))
                        finally:
                            spinner.stop()
                        server.settle()

                    # Once this first and once that: a machine that grows slower meanwhile does not always harm the same side.
                    if round % 2:
                        busy()
                    alone.append(open_loop(build, server, rate, 3))
                    if not round % 2:
                        busy()
        finally:
            for server in servers:
                server.stop()
    middle = lambda runs, what: statistics.median(run[what] for run in runs)
    for name, (alone, beside) in shown.items():
        print(f"{name:<16} {statistics.median(used[name]):.0f}/s ({min(used[name]):.0f} to {max(used[name]):.0f} by the round): alone p50 {middle(alone, 'p50-us'):.0f} us, p99 {middle(alone, 'p99-us'):.0f} us; "
              f"beside a busy loop p50 {middle(beside, 'p50-us'):.0f} us, p99 {middle(beside, 'p99-us'):.0f} us")
    ratio = lambda what: statistics.median(b[what] / a[what] for a, b in zip(*shown["berth"]))
    rows = {"fair-p50": ratio("p50-us"), "fair-p99": ratio("p99-us")}
    if "wasmtime serve" in shown:
        rows["fair-p99-wasmtime"] = statistics.median(ours["p99-us"] / theirs["p99-us"] for ours, theirs in zip(shown["berth component"][1], shown["wasmtime serve"][1]))
    return rows
