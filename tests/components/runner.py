#!/usr/bin/env python3
"""Serves components of several tool chains and looks at them as clients do, with and without grants. Prints a line a
failure and last `N passed, N failed`."""
import contextlib
import http.server
import json
import os
import shutil
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

binary, guests, out_file = Path(sys.argv[1]).resolve(), Path(sys.argv[2]), Path(sys.argv[3])
root = Path(__file__).resolve().parent.parent.parent
cases = {}


def case(function):
    cases[function.__name__.replace("_", "-")] = function
    return function


@contextlib.contextmanager
def serving(*guest_files, flags=()):
    with tempfile.TemporaryDirectory(prefix="berth-components-") as home:
        functions = Path(home) / "functions"
        functions.mkdir()
        for name, file in guest_files:
            shutil.copy(file, functions / f"{name}.wasm")
        # The code cache is shared between the cases, so that each component is compiled once.
        environment = {"PATH": os.environ["PATH"], "HOME": home, "LC_ALL": "C.UTF-8", "XDG_CACHE_HOME": str(cache), "XDG_STATE_HOME": str(cache / "state")}
        with started([binary, "serve", functions, "--port", "0", *flags], environment) as process:
            yield process


def ask(url, body=None, headers=None, method=None):
    request = urllib.request.Request(url, data=body, headers=headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as answer:
        return answer.code, answer.headers, answer.read()


def greets(kind):
    with serving((f"hello-{kind}", guests / f"hello-{kind}.wasm")) as server:
        for url in (f"{server.url}/api/functions/hello-{kind}", f"{server.url}/anything?x=1"):
            status, headers, body = ask(url, b'{"name":"Ada"}', {"content-type": "application/json"})
            assert status == 200, (url, status, body)
            assert json.loads(body) == {"message": "Hello, Ada!"}, body
            assert headers["x-made-by"] == kind and headers["content-type"] == "application/json", headers
        status, _, body = ask(f"{server.url}/api/functions")
        assert json.loads(body)["functions"][0]["runtime"] == "component", body


@case
def javascript_component_answers_by_name_and_at_its_mount():
    greets("javascript")


@case
def python_component_answers_by_name_and_at_its_mount():
    greets("python")


@case
def component_by_hand_answers_every_method():
    with serving(("hello", root / "tests/components/hello_http.wat")) as server:
        for method in ("GET", "POST", "DELETE"):
            status, headers, body = ask(f"{server.url}/a/b", method=method, body=b"" if method == "POST" else None)
            assert (status, body, headers["content-type"]) == (200, b'{"message":"Hello, World!"}', "application/json"), (method, status, body)


@case
def outgoing_request_without_a_grant_is_denied_and_told():
    with serving(("hello", guests / "hello-javascript.wasm")) as server:
        status, _, body = ask(f"{server.url}/out")
        assert status == 502 and b"refused" in body, (status, body)
    denied = [json.loads(line) for line in server.errors if '"capability"' in line]
    assert denied and denied[0]["msg"] == "denied: net.fetch" and denied[0]["scope"] == "http://127.0.0.1:9", server.errors


class Peer(http.server.BaseHTTPRequestHandler):
    """Answers with what it was asked; /moved leads on, /loop to itself, /metadata to where nobody may go."""
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
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Peer)
    server.seen = []
    server.url = f"http://127.0.0.1:{server.server_address[1]}"
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


def sends(kind):
    with peer() as other, serving((f"hello-{kind}", guests / f"hello-{kind}.wasm"), flags=("--allow", f"net.fetch={other.url}")) as server:
        assert out(server, kind, f"{other.url}/a?b=c") == (200, b"reached 200 GET /a?b=c " if kind == "javascript" else b"reached 200 GET /a "), other.seen
        status, body = out(server, kind, f"{other.url}/moved")
        assert (status, body) == (200, b"reached 200 GET /there "), (status, body)
        seen = list(other.seen)
        for refused in (f"{other.url}/metadata", f"{other.url}/elsewhere", "http://127.0.0.1:1/", "http://169.254.169.254/latest/meta-data/", "http://[::ffff:127.0.0.1]:1/", "http://localhost:1/"):
            status, body = out(server, kind, refused)
            assert status == 502 and body.startswith(b"refused"), (refused, status, body)
        assert other.seen == seen + ["GET /metadata", "GET /elsewhere"], other.seen
    assert any("denied: net.fetch" in line and "169.254.169.254" in line for line in server.errors), server.errors


@case
def javascript_component_sends_requests_it_is_granted():
    sends("javascript")


@case
def python_component_sends_requests_it_is_granted():
    sends("python")


@case
def a_request_with_a_body_needs_the_grant_to_send():
    with peer() as other:
        for capability, expected in (("net.fetch", 502), ("net.send", 200)):
            with serving(("hello", guests / "hello-javascript.wasm"), flags=("--allow", f"{capability}={other.url}")) as server:
                status, body = out(server, "javascript", f"{other.url}/p", method="POST", body=b"x" * 300_000)
                assert status == expected, (capability, status, body[:100])
                assert expected == 502 or body == b"reached 200 POST /p " + b"x" * 300_000, (len(body), body[:100])


@case
def a_grant_on_every_origin_reaches_no_address_inside():
    with peer() as other, serving(("hello", guests / "hello-javascript.wasm"), flags=("--allow", "net.fetch=*")) as server:
        status, body = out(server, "javascript", other.url)
        assert status == 502 and other.seen == [], (status, body, other.seen)
    assert any("loopback" in line for line in server.errors), server.errors


@case
def a_refused_call_is_explained():
    explained = subprocess.run([binary, "policy", "explain", guests / "hello-javascript.wasm"], capture_output=True, text=True, env={"PATH": os.environ["PATH"], "HOME": str(cache), "XDG_CACHE_HOME": str(cache), "XDG_STATE_HOME": str(cache / "state")})
    assert explained.returncode == 0 and "net.fetch" in explained.stdout and "net.send" in explained.stdout, explained


def berth(*arguments, home, **variables):
    environment = {**variables, "PATH": os.environ["PATH"], "HOME": home, "LC_ALL": "C.UTF-8", "XDG_CACHE_HOME": str(cache), "XDG_STATE_HOME": str(cache / "state")}
    return subprocess.run([binary, *arguments], capture_output=True, text=True, env=environment, cwd=home, timeout=600)


def recorded(folder, kind, *, to, flags=()):
    """The journals of one greeting, one granted request and one that was refused."""
    with serving((f"hello-{kind}", guests / f"hello-{kind}.wasm"), flags=("--record", folder, *flags)) as server:
        ask(f"{server.url}/api/functions/hello-{kind}", b'{"name":"Ada"}', {"content-type": "application/json"})
        assert out(server, kind, to)[0] == 200
        assert out(server, kind, "http://127.0.0.1:1/")[0] == 502
    return sorted(Path(folder).glob("*.bj"))


@case
def recorded_requests_are_replayed_without_a_network():
    for kind in ("javascript", "python"):
        with tempfile.TemporaryDirectory(prefix="berth-journals-") as folder:
            with peer() as other:
                journals = recorded(folder, kind, to=f"{other.url}/moved", flags=("--allow", f"net.fetch={other.url}"))
            assert len(journals) == 3, journals
            shown = "".join(berth("trace", "show", journal, home=folder).stdout for journal in journals)
            assert '"f":"wasi:http/outgoing-handler.handle"' in shown and '"allowed":false' in shown, shown[-2000:]
            for journal in journals:  # the server that answered is gone
                replayed = berth("replay", journal, home=folder)
                assert replayed.returncode == 0 and "equal to the recording" in replayed.stderr, replayed
            suggested = berth("policy", "suggest", *journals, home=folder)
            assert suggested.returncode == 0 and other.url in suggested.stdout, suggested
            explained = [berth("policy", "explain", journal, home=folder) for journal in journals]
            assert any("net.fetch" in each.stdout and "http://127.0.0.1:1" in each.stdout for each in explained), explained


@case
def a_deterministic_component_is_the_same_every_time():
    # One of them: deterministic code is compiled apart from the other, which takes its time.
    with tempfile.TemporaryDirectory(prefix="berth-journals-") as folder:
        for name, zone in (("a", "UTC"), ("b", "Asia/Tokyo")):
            ran = berth("run", "--deterministic", "--seed", "7", "--record", f"{name}.bj", guests / "hello-javascript.wasm", home=folder, TZ=zone)
            assert ran.returncode == 0 and "World" in ran.stdout, ran
        assert berth("trace", "diff", "a.bj", "b.bj", home=folder).returncode == 0
        assert berth("replay", "a.bj", home=folder).returncode == 0


@case
def two_components_share_a_server_by_name():
    with serving(("one", root / "tests/components/hello_http.wat"), ("two", root / "tests/components/hello_http.wat")) as server:
        for name in ("one", "two"):
            assert ask(f"{server.url}/api/functions/{name}", b"{}")[0] == 200
        assert ask(f"{server.url}/elsewhere")[0] == 404
    assert any("claimed by one, two" in line for line in server.errors), server.errors


@case
def fuel_and_output_of_a_handler_are_bounded():
    for flags, code in ((("--fuel", "50"), "cpu_limit"), (("--limit", "output=20b"), "output_too_large")):
        with serving(("hello", root / "tests/components/hello_http.wat"), flags=flags) as server:
            status, _, body = ask(f"{server.url}/api/functions/hello", b"{}")
            assert status == 500 and f'"{code}"'.encode() in body, (flags, status, body)


passed, results = 0, {}
with tempfile.TemporaryDirectory(prefix="berth-components-cache-") as folder:
    cache = Path(folder)
    for name, function in cases.items():
        try:
            function()
            passed, results[name] = passed + 1, True
        except (AssertionError, OSError, ValueError, KeyError, IndexError, subprocess.SubprocessError) as problem:
            results[name] = False
            print(f"FAILED {name}: {problem!r}"[:2000])
out_file.parent.mkdir(parents=True, exist_ok=True)
out_file.write_text(json.dumps(results))
print(f"{passed} passed, {len(cases) - passed} failed")
sys.exit(0 if passed == len(cases) else 1)
