"""Calls that wait for something hold no thread, and end as others do."""
import contextlib
import json
import re
import shutil
import tempfile
import threading
from pathlib import Path

from harness import ask, case, equal, get, root, serving
from cases import until  # after harness, which says where it lies


@contextlib.contextmanager
def gate(*more):
    """A server with the function `gate`, which has waited once already, and the file that opens it (not there)."""
    with tempfile.TemporaryDirectory(prefix="berth-waits-") as folder:
        functions, data = Path(folder) / "functions", Path(folder) / "data"
        functions.mkdir()
        data.mkdir()
        shutil.copy(root / "tests/serve/gate.wat", functions / "gate.wasm")
        go = data / "go"
        go.touch()
        arguments = [functions, "--port", "0", "--mount", f"data={data}:rw", "--set", "admin.listen=127.0.0.1:0", "--set", "functions.max_concurrency=500", *more]
        with serving(*map(str, arguments)) as server:
            assert server.first_line.startswith("Listening on "), server.errors
            equal(call(server), (200, b"7"))
            go.unlink()
            yield server, go


def call(server, text=b""):
    status, body, _ = ask("POST", f"{server.url}/api/functions/gate", text, {"Content-Type": "text/plain"})
    return status, body


def callers(server, inputs):
    """Threads that call, and the list that their answers go to."""
    answers = []
    threads = [threading.Thread(target=lambda text=text: answers.append(call(server, text))) for text in inputs]
    for each in threads:
        each.start()
    return threads, answers


def in_flight(server):
    found = re.search(r'^berth_calls_in_flight\{function="gate"\} (\d+)$', get(server.url + "/metrics")[1], re.MULTILINE)
    return int(found.group(1)) if found else 0


def threads_of(server):
    return len(list(Path(f"/proc/{server.pid}/task").iterdir()))


@case
def calls_that_wait_hold_no_thread():
    with gate("--timeout", "1h", "--limit", "concurrency=60") as (server, go):
        threads, answers = callers(server, [b""] * 60)
        until(lambda: in_flight(server) == 60, "60 calls that wait")
        until(lambda: threads_of(server) < 30, "threads for those that compute alone")
        equal(answers, [])
        go.touch()
        for each in threads:
            each.join()
        equal(answers, [(200, b"7")] * 60)
        until(lambda: in_flight(server) == 0, "none")


@case
def a_call_that_waits_ends_with_its_deadline_and_one_that_goes_on_is_still_stopped_and_traps():
    with gate("--timeout", "300ms") as (server, go):
        status, body = call(server)
        equal((status, json.loads(body)["error"]["code"]), (504, "timeout"))
        go.touch()
        status, body = call(server, b"s")
        equal((status, json.loads(body)["error"]["code"]), (504, "timeout"))
        status, body = call(server, b"t")
        equal((status, json.loads(body)["error"]["code"]), (500, "trap"))


@case
def a_server_ends_beside_calls_that_wait():
    with gate("--timeout", "1h", "--set", "server.grace=10ms") as (server, go):
        threads, answers = callers(server, [b""] * 20)
        until(lambda: in_flight(server) == 20, "20 calls that wait")
        server.terminate()
        server.wait(timeout=600)
        for each in threads:
            each.join()
        equal({status for status, _ in answers}, {503})


@case
def fibers_are_a_setting():
    with gate("--timeout", "1h", "--set", "engine.fibers=never") as (server, go):
        before = threads_of(server)
        threads, answers = callers(server, [b""] * 40)
        until(lambda: threads_of(server) >= before + 30, "threads that wait")
        go.touch()
        for each in threads:
            each.join()
        equal(answers, [(200, b"7")] * 40)
    with serving(str(root / "tests/serve/gate.wat"), "--port", "0", "--set", "engine.fibers=some") as server:
        equal(server.first_line, "")
        server.wait(timeout=600)
        until(lambda: any('engine.fibers is "some", not auto, always or never' in line for line in server.errors), server.errors)
