"""What the cases of tests/components share: the list of cases, a server of components, clients, and a peer for guests to ask."""
import contextlib
import http.server
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
from berth_host import started  # noqa: E402
from cases import Cases  # noqa: E402

binary, guests, out_file = Path(sys.argv[1]).resolve(), Path(sys.argv[2]), Path(sys.argv[3])
held = tempfile.TemporaryDirectory(prefix="berth-components-cache-")
cache = Path(held.name)
root = Path(__file__).resolve().parent.parent.parent
cases = Cases()
case = cases.case


@contextlib.contextmanager
def serving(*guest_files, flags=(), env=None):
    with tempfile.TemporaryDirectory(prefix="berth-components-") as home:
        functions = Path(home) / "functions"
        functions.mkdir()
        for name, file in guest_files:
            shutil.copy(file, functions / f"{name}.wasm")
        # The code cache is shared between the cases, so that each component is compiled once.
        environment = {"PATH": os.environ["PATH"], "HOME": home, "LC_ALL": "C.UTF-8", "XDG_CACHE_HOME": str(cache), "XDG_STATE_HOME": str(cache / "state"), **(env or {})}
        # However slow the machine is, a guest is there once the server is, and calls have their time: neither is what is looked at.
        with started([binary, "serve", functions, "--port", "0", "--limit", "load=1h", "--limit", "wall=1h", *flags], environment) as process:
            yield process


def ask(url, body=None, headers=None, method=None):
    request = urllib.request.Request(url, data=body, headers=headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=600) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.headers, answer.read()


class Peer(http.server.BaseHTTPRequestHandler):
    """Answers with what it was asked; /moved leads on, /elsewhere to another origin, /metadata to where nobody may go."""
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.server.seen.append(f"{self.command} {self.path}")
        size = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(size) if "chunked" not in self.headers.get("transfer-encoding", "") else self.chunks()
        moved = {"/moved": "/there", "/metadata": "http://169.254.169.254/", "/elsewhere": "http://localhost:1/"}.get(self.path)
        answer = b"" if moved else f"{self.command} {self.path} ".encode() + body
        self.send_response(302 if moved else 200)
        if moved:
            self.send_header("Location", moved)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_GET

    def chunks(self):
        whole = b""
        while size := int(self.rfile.readline(), 16):
            whole += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return whole

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def peer():
    with answering(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Peer)) as server:
        server.url = f"http://127.0.0.1:{server.port}"
        yield server


@contextlib.contextmanager
def answering(server):
    """A server of the test in a thread of its own, while the block runs."""
    server.seen, server.port = [], server.server_address[1]
    server.handle_error = lambda *_: None  # guests that are ended leave their connections as they are
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def out(server, kind, to, **more):
    query = urllib.parse.urlencode({"to": to, **{name: value for name, value in more.items() if name != "body"}})
    return ask(f"{server.url}/out?{query}", more.get("body"))[::2]


def berth(*arguments, home, **variables):
    environment = {"PATH": os.environ["PATH"], "HOME": home, "LC_ALL": "C.UTF-8", "XDG_CACHE_HOME": str(cache), "XDG_STATE_HOME": str(cache / "state"), **variables}
    return subprocess.run([binary, *arguments], capture_output=True, text=True, env=environment, cwd=home, timeout=600)


class Wire:
    """A client that sends exactly what it is told to and reads answers part by part."""

    def __init__(self, server):
        self.socket = socket.create_connection(("127.0.0.1", int(server.url.rsplit(":", 1)[1])), timeout=600)
        self.file = self.socket.makefile("rb")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def send(self, *parts):
        self.socket.sendall(b"".join(parts))

    def head(self):
        lines = [self.file.readline() for _ in range(1)]
        while lines[-1] not in (b"\r\n", b""):
            lines.append(self.file.readline())
        return b"".join(lines).lower()

    def chunk(self):
        """One chunk; at the end the fields that follow."""
        size = int(self.file.readline(), 16)
        if size == 0:
            return self.head()
        part = self.file.read(size)
        assert self.file.readline() == b"\r\n"
        return part

    def answer(self):
        """Head and body, however its end is told."""
        head, whole = self.head(), b""
        if length := re.search(rb"content-length: (\d+)", head):
            return head, self.file.read(int(length[1]))
        assert b"transfer-encoding: chunked" in head, head
        while size := int(self.file.readline(), 16):
            whole += self.file.read(size)
            assert self.file.readline() == b"\r\n"
        self.head()
        return head, whole


def chunk_of(part):
    return b"%x\r\n%s\r\n" % (len(part), part)


CHUNKED = b"POST /pipe HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
# The echo by hand, and a tool chain's of a handler that answers with the request's stream.
ECHOES = {"hand": root / "tests/components/echo_http.wat", "javascript": guests / "hello-javascript.wasm"}
