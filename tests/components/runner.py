#!/usr/bin/env python3
"""Serves components of several tool chains and looks at them as clients do, with and without grants. Prints a line a
failure and last `N passed, N failed`."""
import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from pathlib import Path

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
        process = subprocess.Popen([binary, "serve", functions, "--port", "0", *flags], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True)
        process.lines = []
        reader = threading.Thread(target=lambda: process.lines.extend(process.stderr), daemon=True)
        reader.start()
        try:
            process.url = process.stdout.readline().removeprefix("Listening on ").strip()
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)
            reader.join(timeout=60)
            process.stdout.close()
            process.stderr.close()


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
    denied = [json.loads(line) for line in server.lines if '"capability"' in line]
    assert denied and denied[0]["msg"] == "denied: net.fetch" and denied[0]["scope"] == "http://127.0.0.1:9", server.lines


@case
def granted_outgoing_request_is_not_a_denial():
    with serving(("hello", guests / "hello-javascript.wasm"), flags=("--allow", "net.fetch=http://127.0.0.1:9")) as server:
        status, _, body = ask(f"{server.url}/out")
        assert status == 502 and b"refused" in body, (status, body)
    assert not any("denied" in line for line in server.lines), server.lines


@case
def two_components_share_a_server_by_name():
    with serving(("one", root / "tests/components/hello_http.wat"), ("two", root / "tests/components/hello_http.wat")) as server:
        for name in ("one", "two"):
            assert ask(f"{server.url}/api/functions/{name}", b"{}")[0] == 200
        assert ask(f"{server.url}/elsewhere")[0] == 404
    assert any("claimed by one, two" in line for line in server.lines), server.lines


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
