"""Large inputs and outputs: what the host holds of them, and who waits when that is as much as it may be."""
import contextlib
import http.client
import json
import os
import socket
import threading
import urllib.parse
from pathlib import Path

from faults import probes
from support import Cases, equal, until

cases = Cases()
case = cases.case
megabyte = 1 << 20
memory_bound = 16 * megabyte
beyond_the_bound = 2 * (8 + 2) * megabyte  # one input and one output, each before it goes to a file


def payloads(server):
    return server.get("/api/functions/stats", {"Authorization": "Bearer admin"})[1]["payloads"]


def resident(server):
    """What the host has in memory that lies in no file, in bytes."""
    for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) << 10
    raise AssertionError("RssAnon")


def text_of(which, size):
    """A text of its own for each call, large enough to notice when a part of it comes from another."""
    return f"{which:02d}abcdefghijklmn" * (size // 16)


class Call(threading.Thread):
    """A call in a thread of its own; its answer is compared there, so that sixteen of them are not kept."""

    def __init__(self, server, name, which, size, do="echo-and-wait"):
        super().__init__(daemon=True)
        self.arguments = (server, name, which, size, do)
        self.status = self.problem = self.code = None
        self.start()

    def run(self):
        server, name, which, size, do = self.arguments
        text = text_of(which, size)
        body = f'{{"do": "{do}",\n "text": "{text}"}}'.encode()
        address = urllib.parse.urlsplit(server.url)
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=600)
        connection.request("POST", f"/api/functions/{name}", body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        found = answer.read()
        connection.close()
        self.status = answer.status
        if self.status != 200:
            self.code = json.loads(found)["error"]["code"]
        elif f'"output":{{"do":"{do}","text":"{text}"}},"logs":[]'.encode() not in found:
            self.problem = f"another answer of {len(found)} bytes: {found[:100]!r}"

    def ended(self):
        self.join(timeout=600)
        assert not self.is_alive(), "it has no answer"
        assert self.problem is None, self.problem
        return self.status, self.code


@contextlib.contextmanager
def held(manifests, keys):
    """A host with the probe under these names, and what lets go of the calls that wait."""
    token = "8c6976e5b5410415bde908bd4dee15dfb167a9c873fc4bb8a81f6f2ab448a918"  # of "admin"
    project = f"functions:\n  admin_token: {token}\n  max_body: 128mb\n  max_concurrency: 64\n{keys}server: {{body_timeout: 10m}}\n"
    with probes(manifests, project) as server:
        gates = []
        for name in manifests:
            os.mkfifo(server.folder / name / "gate")
        def let_go(name):
            gates.append(os.open(server.folder / name / "gate", os.O_RDWR))
        try:
            yield server, let_go
        finally:
            for gate in gates:
                os.close(gate)


def answered(server, name):
    return len(list((server.folder / name).glob("answered-*")))


@case
def sixteen_large_calls_at_once_fit_into_the_memory_for_payloads():
    size = 16 * megabyte
    with held({"probe": "timeout: 15m\n"}, "  payload_memory: 16mb\n") as (server, let_go):
        equal(server.call("probe", {"do": "echo", "text": "x"})[0], 200)
        before = resident(server)
        calls = [Call(server, "probe", which, size) for which in range(16)]
        until(lambda: answered(server, "probe") == 16)
        # All outputs are in the host but for what is in the pipes, and nobody has been answered.
        until(lambda: payloads(server)["file_bytes"] >= 14 * size)
        use = payloads(server)
        assert use["most_bytes"] <= memory_bound + beyond_the_bound, use
        grown = resident(server) - before  # with what the allocator keeps of smaller pieces
        assert grown <= memory_bound + beyond_the_bound + 128 * megabyte, f"{grown >> 20} MiB for sixteen outputs of {size >> 20} MiB"
        let_go("probe")
        for one in calls:
            equal(one.ended(), (200, None))
        use = payloads(server)
        assert use["most_bytes"] <= memory_bound + beyond_the_bound, use
        assert use["files"] >= 16, use
        equal((use["bytes"], use["file_bytes"], use["waiting"]), (0, 0, 0))
        equal([link for link in map(os.readlink, filter(os.path.islink, Path(f"/proc/{server.process.pid}/fd").iterdir())) if "(deleted)" in link], [], "files that are still open")


@case
def a_program_whose_output_is_not_read_waits_and_its_deadline_does_not():
    size = 4 * megabyte
    with held({"first": "", "short": "timeout: 5s\nkill_grace: 0s\n", "next": ""}, "  payload_memory: 1mb\n") as (server, let_go):
        first = Call(server, "first", 1, size)
        until(lambda: answered(server, "first"))
        short = Call(server, "short", 2, size)
        equal(short.ended(), (504, "TIMEOUT"))
        equal(answered(server, "short"), 0, "it could write all of its output")
        waits = payloads(server)["waits"]
        assert waits >= 1, waits
        after = Call(server, "next", 3, size)
        until(lambda: payloads(server)["waiting"] == 1)
        equal(answered(server, "next"), 0)
        let_go("next")
        let_go("first")
        equal(first.ended(), (200, None))
        equal(after.ended(), (200, None))
        equal(payloads(server)["bytes"], 0)


@case
def a_client_whose_body_is_not_read_waits_until_there_is_memory():
    size = 4 * megabyte
    body = json.dumps({"do": "echo", "text": text_of(1, size)}, separators=(",", ":")).encode()
    with held({"probe": ""}, "  payload_memory: 1mb\n") as (server, let_go):
        address = urllib.parse.urlsplit(server.url)
        slow = socket.create_connection((address.hostname, address.port))
        slow.sendall(f"POST /api/functions/probe HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body[: 3 * megabyte])
        until(lambda: payloads(server)["bytes"] >= 3 * megabyte)  # beyond the bound, as the one that may be
        other = Call(server, "probe", 2, size, "echo")
        until(lambda: payloads(server)["waiting"] == 1)
        assert payloads(server)["bytes"] <= 4 * megabyte + (1 << 17), payloads(server)
        slow.sendall(body[3 * megabyte:])
        found = b""
        while part := slow.recv(1 << 20):
            found += part
        slow.close()
        assert found.startswith(b"HTTP/1.1 200") and body in found, found[:200]
        equal(other.ended(), (200, None))
        equal(payloads(server)["bytes"], 0)
        # One that goes while it waits leaves nothing behind.
        slow = socket.create_connection((address.hostname, address.port))
        slow.sendall(f"POST /api/functions/probe HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body[: 3 * megabyte])
        until(lambda: payloads(server)["bytes"] >= 3 * megabyte)
        gone = socket.create_connection((address.hostname, address.port))
        gone.sendall(f"POST /api/functions/probe HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body[: 1 << 18])
        until(lambda: payloads(server)["waiting"] == 1)
        gone.close()
        until(lambda: payloads(server)["waiting"] == 0)
        slow.close()
        until(lambda: payloads(server)["bytes"] == 0)


@case
def a_large_body_of_any_kind_reaches_the_program():
    size = megabyte
    text = text_of(7, size)
    with held({"probe": "", "short": "routes:\n  - {path: /short, methods: [POST]}\nenv: {PROBE_ONE_BYTE: \"1\"}\n"}, "  payload_memory: 1mb\n") as (server, _):
        def sent(headers, body, path="/api/functions/probe"):
            status, found, _ = server.request("POST", path, body, headers)
            return status, json.loads(found)
        status, found = sent({"Content-Type": "application/json"}, json.dumps({"text": text}, indent=2))
        equal((status, found["output"]["text"] == text), (200, True))
        status, found = sent({"Content-Type": "application/x-www-form-urlencoded"}, "text=" + text)
        equal((status, found["output"]["text"] == text), (200, True))
        status, found = sent({"Content-Type": "application/json"}, (part.encode() for part in ('{"text":"', text, '"}')))
        equal((status, found["output"]["text"] == text), (200, True), "chunked")
        status, found = sent({"Content-Type": "text/plain"}, text)
        equal((status, found["error"]["code"]), (415, "UNSUPPORTED_MEDIA_TYPE"))
        status, found = sent({"Content-Type": "application/json"}, '{"text":"' + text)
        equal((status, found["error"]["code"], found["error"]["details"]["reason"]), (400, "INVALID_INPUT", "syntax"))
        equal(sent({"Content-Type": "text/plain"}, text, "/short"), (200, "done"))
        equal(payloads(server)["bytes"], 0)
