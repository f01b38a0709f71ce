"""Answers of 27 bytes of JSON over kept-alive connections: processor time of the server for each request, the servers in
turn on processor 0, the client (wrk) on processor 1; and what a server uses when it idles and after many requests."""
import os
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

POST = 'wrk.method = "POST"\nwrk.body = \'{"name":"Ada"}\'\nwrk.headers["Content-Type"] = "application/json"\n'
NODE = """const body = '{"message":"Hello, World!"}';
require('http').createServer((_, answer) => { answer.setHeader('content-type', 'application/json'); answer.end(body); })
  .listen(0, '127.0.0.1', function () { console.log('Listening on http://127.0.0.1:' + this.address().port + '/'); });"""


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
    for ours, peer, row in (("berth", "wasmtime serve", "http-wasmtime-serve"), ("berth", "nginx", "http-nginx"), ("berth", "node", "http-node"),
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
