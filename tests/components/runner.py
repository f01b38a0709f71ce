#!/usr/bin/env python3
"""Serves components of several tool chains and looks at them as clients do, with and without grants. Prints a line a
failure and last `N passed, N failed`."""
import contextlib
import hashlib
import http.client
import http.server
import json
import os
import re
import select
import socket
import socketserver
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import killed  # noqa: F401: their cases join the list
import tour  # noqa: F401
import waits  # noqa: F401
from harness import CHUNKED, ECHOES, Peer, Wire, answering, ask, berth, binary, cache, case, cases, chunk_of, guests, out, out_file, peer, root, serving

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
def an_instance_that_stays_serves_several_requests_and_goes_after_a_fault():
    count, pooled = root / "tests/components/count_http.wat", ("--isolation", "pooled", "--set", "functions.pooled_calls=4", "--allow", "random")

    def answers(server, *asked, name="count"):
        return [ask(f"{server.url}/api/functions/{name}", b"body", {field: "1" for field in (fields if isinstance(fields, tuple) else (fields,)) if field})[::2] for fields in asked]

    def first(given):
        return [body[:1].decode() if status == 200 else status for status, body in given]

    with serving(("count", count), flags=("--allow", "random")) as server:
        assert first(answers(server, "", "", "")) == ["1", "1", "1"]
    with serving(("count", count), ("other", count), flags=pooled) as server:
        given = answers(server, "", "", "", "", "")
        assert first(given) == ["1", "2", "3", "4", "1"], given
        assert len({body[1:2] for _, body in given[:4]}) == 1, given  # what it drew in the first one
        assert first(answers(server, "", name="other")) == ["1"]  # another function has its own
        for fault in ("trap", "open"):
            assert first(answers(server, "", fault, ""))[2] == "1", fault
        # One that leaves too much is not entered again, nor does its answer suffer.
        assert first(answers(server, "leak", "")) == ["2", "1"]
        # What is left of a request leads to no other one's body.
        given = answers(server, "keep", "late", ("keep", "late"))
        assert [body[:1] + body[2:] for _, body in given] == [b"2.", b"3E", b"4b"], given
    with serving(("count", count), flags=(*pooled, "--limit", "fuel=10000000")) as server:
        given = answers(server, "", "", "spin", "")
        assert first(given) == ["1", "2", given[2][0], "1"] and given[2][0] >= 400, given


@case
def python_component_serves_several_requests_in_one_instance():
    with serving(("hello", guests / "hello-python.wasm"), flags=("--isolation", "pooled")) as server:
        for _ in range(5):
            status, _, body = ask(f"{server.url}/x", b'{"name":"Ada"}', {"content-type": "application/json"})
            assert status == 200 and json.loads(body) == {"message": "Hello, Ada!"}, (status, body)


@case
def recorded_requests_of_one_instance_replay_with_those_before_them():
    with tempfile.TemporaryDirectory(prefix="berth-kept-") as folder:
        journals, receipts = Path(folder) / "journals", Path(folder) / "receipts"
        receipts.mkdir()
        assert berth("keygen", "--no-passphrase", f"{folder}/key", home=folder).returncode == 0
        with serving(("count", root / "tests/components/count_http.wat"), flags=("--isolation", "pooled", "--allow", "random", "--record", journals, "--receipt", receipts, "--key", f"{folder}/key")) as server:
            given = [ask(f"{server.url}/api/functions/count", b"body", {field: "1"}) for field in ("keep", "late", "plain", "trap")]
        assert [status for status, _, _ in given] == [200, 200, 200, 500], given
        assert [body[:1] for _, _, body in given[:3]] == [b"1", b"2", b"3"] and given[1][2][2:] == b"E", given
        for earlier, (status, headers, _) in enumerate(given):
            call = headers["x-request-id"]
            played = berth("replay", journals / f"{call}.bj", "--format", "json", home=folder)
            document = json.loads(played.stdout)
            assert (document["earlier_calls"], document["complete"], document["code"]) == (earlier, True, "ok" if status == 200 else "trap"), (document, played.stderr)
            checked = berth("verify-receipt", receipts / f"{call}.receipt", "--journal", journals / f"{call}.bj", "--rerun", home=folder)
            assert (checked.returncode, checked.stderr) == (0, ""), checked


@case
def outgoing_request_without_a_grant_is_denied_and_told():
    with serving(("hello", guests / "hello-javascript.wasm")) as server:
        status, _, body = ask(f"{server.url}/out")
        assert status == 502 and b"refused" in body, (status, body)
    denied = [json.loads(line) for line in server.errors if '"capability"' in line]
    assert denied and denied[0]["msg"] == "denied: net.fetch" and denied[0]["scope"] == "http://127.0.0.1:9", server.errors


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
                if expected == 200:
                    status, body = out(server, "javascript", f"{other.url}/p", method="POST", body=b"x" * 300_000)
                    assert status == 200 and body == b"reached 200 POST /p " + b"x" * 300_000, (status, body[:100])
                    continue
                # Its tool chain forgets the body of an answer after a refused request that had one: the host cuts or fails it.
                with Wire(server) as wire:
                    wire.send(b"POST /out?method=POST&to=%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 300000\r\n\r\n" % urllib.parse.quote(f"{other.url}/p").encode(), b"x" * 300_000)
                    assert wire.head()[9:12] in (b"502", b"500")
                assert other.seen == [], other.seen
            assert any("denied: net.send" in line for line in server.errors), server.errors


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


def until_ended(server, outcome, count=1):
    """Asks until so many calls have ended in this way and none runs."""
    wanted = {f'berth_calls_total{{function="echo",engine="component",outcome="{outcome}"}} {count}', 'berth_calls_in_flight{function="echo"} 0'}
    end = time.monotonic() + 600
    while time.monotonic() < end:
        with Wire(server) as wire:
            for _ in range(900):  # of as many as a connection may have
                wire.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
                if wanted <= (seen := set(wire.answer()[1].decode().splitlines())):
                    return
    raise AssertionError(sorted(line for line in seen if line.startswith("berth_calls_")))


@case
def the_first_part_of_an_answer_arrives_before_the_last_of_the_request_is_sent():
    # The client holds each part back until the one before has come round: nothing but parts both ways gets through.
    for kind, guest in ECHOES.items():
        with serving(("echo", guest)) as server, Wire(server) as wire:
            wire.send(CHUNKED, b"\r\n", chunk_of(b"first"))
            head = wire.head()
            assert head.startswith(b"http/1.1 200") and b"transfer-encoding: chunked" in head, (kind, head)
            assert wire.chunk() == b"first", kind
            for number in range(20):
                wire.send(chunk_of(b"part %d" % number))
                assert wire.chunk() == b"part %d" % number, kind
            wire.send(b"0\r\nX-Sum: 7\r\n\r\n")
            end = wire.chunk()
            assert end == (b"x-sum: 7\r\n\r\n" if kind == "hand" else b"\r\n"), (kind, end)
            # The connection goes on.
            wire.send(b"POST /pipe HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
            assert wire.answer()[1] == b"abc", kind


def most_memory(process):
    """What the process has held at most so far, in MiB."""
    return int(re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())[1]) >> 10


@case
def sixty_four_mebibytes_go_through_whole_in_bounded_memory():
    block = bytes(range(256)) * 256
    for kind, guest, size in (("hand", ECHOES["hand"], 64 << 20), ("javascript", ECHOES["javascript"], 1 << 20)):
        with serving(("echo", guest), flags=("--set", "functions.max_body=64MiB")) as server, Wire(server) as wire:
            wire.send(CHUNKED, b"\r\n", chunk_of(b"warm"), b"0\r\n\r\n")
            assert wire.answer()[1] == b"warm"
            before = most_memory(server)

            def send():
                wire.send(b"POST /pipe HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % size)
                for _ in range(size // len(block)):
                    wire.send(block)

            sender = threading.Thread(target=send)
            sender.start()
            wire.head()
            got, right = 0, hashlib.sha256()
            while line := int(wire.file.readline(), 16):
                part = wire.file.read(line)
                got += len(part)
                right.update(part)
                wire.file.readline()
            wire.head()
            sender.join()
            assert got == size and right.digest() == hashlib.sha256(block * (size // len(block))).digest(), (kind, got)
            assert (held := most_memory(server) - before) < 16, (kind, held)


@case
def a_client_that_does_not_read_holds_the_guest_back():
    # More than every buffer on the way takes: the guest stands, the client's own sending stands with it, and nothing is lost.
    with serving(("echo", ECHOES["hand"]), flags=("--set", "functions.max_body=64MiB")) as server, Wire(server) as wire:
        wire.socket.setblocking(False)
        wire.socket.send(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % (64 << 20))
        block, sent = b"z" * 65536, 0
        poll = select.poll()
        poll.register(wire.socket, select.POLLOUT)
        while sent < 64 << 20 and poll.poll(2000):  # stands still; how long decides nothing but how long the test takes
            with contextlib.suppress(BlockingIOError):
                sent += wire.socket.send(block[: (64 << 20) - sent])
        assert sent < 64 << 20, sent
        wire.socket.setblocking(True)
        wire.socket.settimeout(600)
        rest = threading.Thread(target=lambda: wire.send(b"z" * ((64 << 20) - sent)))
        rest.start()
        wire.head()
        got = 0
        while line := int(wire.file.readline(), 16):
            got += len(wire.file.read(line))
            wire.file.readline()
        rest.join()
        assert got == 64 << 20, got


@case
def a_client_that_goes_away_ends_the_call():
    for kind, guest in ECHOES.items():
        with serving(("echo", guest)) as server:
            with Wire(server) as wire:
                wire.send(CHUNKED, b"\r\n", chunk_of(b"begun"))
                wire.head()
                assert wire.chunk() == b"begun"
            until_ended(server, "cancelled")


@case
def a_client_that_goes_away_while_nobody_reads_its_body_ends_the_call():
    arrived, leave = threading.Event(), threading.Event()

    class Holding(Peer):
        def do_GET(self):
            arrived.set()
            leave.wait(600)
            with contextlib.suppress(OSError):  # who asked has gone
                super().do_GET()

    with answering(http.server.ThreadingHTTPServer(("127.0.0.1", 0), Holding)) as other:
        address = f"http://127.0.0.1:{other.port}"
        with serving(("echo", guests / "hello-python.wasm"), flags=("--allow", f"net.fetch={address}", "--limit", "wall=5m")) as server:
            with Wire(server) as wire:
                # More of a body than is held for a guest that does not look at it; the guest waits for somebody else.
                wire.send(b"POST /out?to=%s/ HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n" % urllib.parse.quote(address).encode(), b"x" * 300_000)
                assert arrived.wait(600)
            until_ended(server, "cancelled")
            leave.set()


@case
def an_answer_may_come_before_the_end_of_the_request():
    # The handler by hand never looks at the body.
    with serving(("hello", root / "tests/components/hello_http.wat")) as server, Wire(server) as wire:
        wire.send(CHUNKED, b"\r\n", chunk_of(b"only the beginning"))
        head, body = wire.answer()
        assert head.startswith(b"http/1.1 200") and body == b'{"message":"Hello, World!"}', (head, body)
        with contextlib.suppress(OSError):  # closed, unless the rest came before the guest had ended
            wire.send(chunk_of(b"more"), b"0\r\n\r\n")
            wire.socket.shutdown(socket.SHUT_WR)
            assert wire.file.read() == b""  # and nothing of it is taken for another request


@case
def the_word_to_go_on_comes_when_the_body_is_first_wanted():
    expecting = CHUNKED + b"Expect: 100-continue\r\n\r\n"
    with serving(("echo", ECHOES["hand"])) as server, Wire(server) as wire:
        wire.send(expecting)
        assert wire.head() == b"http/1.1 100 continue\r\n\r\n"
        wire.send(chunk_of(b"now"), b"0\r\n\r\n")
        head, body = wire.answer()
        assert head.startswith(b"http/1.1 200") and body == b"now", (head, body)
    with serving(("hello", root / "tests/components/hello_http.wat")) as server, Wire(server) as wire:
        wire.send(expecting)
        assert wire.head().startswith(b"http/1.1 200")  # it was never wanted


@case
def the_head_alone_is_answered_without_a_body():
    for guest in ECHOES.values():
        with serving(("echo", guest)) as server, Wire(server) as wire:
            wire.send(b"HEAD /pipe HTTP/1.1\r\nHost: x\r\n\r\n" * 2)
            for _ in range(2):
                assert wire.head().startswith(b"http/1.1 200")


@case
def what_is_wrong_with_a_body_ends_it_and_the_connection():
    with serving(("echo", ECHOES["hand"])) as server:
        for bad in (b"zz\r\n", b"5\r\nhelloX", b"5;\x01\r\n", b"1234567890123456\r\n"):
            with Wire(server) as wire:
                wire.send(CHUNKED, b"\r\n", chunk_of(b"good"))
                wire.head()
                assert wire.chunk() == b"good"
                wire.send(bad)
                assert b"0\r\n\r\n" not in wire.file.read(), bad  # cut, so that nobody takes it for whole
        with Wire(server) as wire:
            wire.send(CHUNKED, b"\r\n", chunk_of(b"good"))
            wire.head()
            wire.chunk()

            def too_much():
                with contextlib.suppress(OSError):  # the host closes while there is still more
                    wire.send(chunk_of(b"x" * 65536) * 200)

            sender = threading.Thread(target=too_much)
            sender.start()
            with contextlib.suppress(ConnectionResetError):
                assert wire.file.read().count(b"x") <= 10 << 20
            sender.join()
            until_ended(server, "trap", 5)


@case
def limits_hold_for_bodies_in_parts():
    for flag, code in (("input=20b", "payload_too_large"), ("output=20b", "output_too_large")):
        with serving(("echo", ECHOES["hand"]), flags=("--limit", flag)) as server, Wire(server) as wire:
            wire.send(CHUNKED, b"\r\n", chunk_of(b"a" * 20))
            wire.head()
            assert wire.chunk() == b"a" * 20
            wire.send(chunk_of(b"b"))
            assert wire.file.read() == b"", flag
            until_ended(server, code)


@case
def old_clients_get_the_body_up_to_the_end_of_the_connection():
    with serving(("echo", ECHOES["javascript"])) as server, Wire(server) as wire:
        wire.send(b"POST /pipe HTTP/1.0\r\nContent-Length: 300000\r\n\r\n", b"y" * 300000)
        head = wire.head()
        assert b"chunked" not in head and wire.file.read() == b"y" * 300000, head


class Talker(socketserver.StreamRequestHandler):
    """Says backwards what it was told."""

    def handle(self):
        said = self.rfile.read()
        self.server.seen.append(said)
        self.wfile.write(said[::-1])


def talker():
    return answering(socketserver.ThreadingTCPServer(("127.0.0.1", 0), Talker))


def talk(server, host, port, say="hello"):
    return ask(f"{server.url}/tcp?host={host}&port={port}&say={say}")[::2]


PYTHON = ("hello", guests / "hello-python.wasm")


@case
def sockets_reach_what_is_granted_and_nothing_else():
    refused = (502, b"refused: PermissionError(2, 'Permission denied')")
    with talker() as other:
        address = f"127.0.0.1:{other.port}"
        for grants, reaches in (((), {}), ((f"net.connect={address}",), {"127.0.0.1"}), ((f"net.connect=127.0.0.1:1",), {}), ((f"net.connect=localhost:{other.port}",), {}),
                                (("net.connect=*",), {}), ((f"net.connect={address}", f"net.connect=localhost:{other.port}"), {"127.0.0.1", "localhost"}), (("net.fetch=*", "net.send=*", "net.listen=*"), {})):
            with serving(PYTHON, flags=[flag for grant in grants for flag in ("--allow", grant)]) as server:
                for host in ("127.0.0.1", "localhost"):
                    other.seen.clear()
                    got = talk(server, host, other.port)
                    assert got == ((200, b"heard olleh") if host in reaches else refused), (grants, host, got)
                    assert other.seen == ([b"hello"] if host in reaches else []), (grants, host, other.seen)
            if not reaches:
                assert any("denied: net.connect" in line and '"fix"' in line for line in server.errors), server.errors


@case
def what_a_socket_carries_is_not_held():
    with talker() as other, serving(PYTHON, flags=("--allow", f"net.connect=127.0.0.1:{other.port}")) as server:
        say = "abcdefghij" * 800
        assert talk(server, "127.0.0.1", other.port, say) == (200, b"heard " + say[::-1].encode())


@case
def a_listener_takes_connections_where_it_is_granted():
    for grants, expected in ((("net.connect=127.0.0.1", "net.listen=127.0.0.1"), b"served over here 1"), (("net.connect=127.0.0.1",), b"refused"), (("net.connect=127.0.0.1", "net.listen=10.0.0.1"), b"refused")):
        with serving(PYTHON, flags=[flag for grant in grants for flag in ("--allow", grant)]) as server:
            body = ask(f"{server.url}/listen?host=127.0.0.1")[2]
            assert body.startswith(expected), (grants, body, server.errors)
        if expected == b"refused":
            assert any("denied: net.listen" in line for line in server.errors), server.errors


class Echo(socketserver.BaseRequestHandler):
    """Says backwards what it was told, after a stranger has said something as well."""

    def handle(self):
        said, own = self.request
        self.server.seen.append(said)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(b"from a stranger", self.client_address)
        own.sendto(said[::-1], self.client_address)


def datagram_peer():
    return answering(socketserver.ThreadingUDPServer(("127.0.0.1", 0), Echo))


def say_to(server, host, port, *more):
    return ask(f"{server.url}/udp?host={host}&port={port}&say=hello{''.join(more)}")[::2]


@case
def datagrams_go_to_what_is_granted_and_nowhere_else():
    refused = (502, b"refused: PermissionError(2, 'Permission denied')")
    with datagram_peer() as other:
        address = f"127.0.0.1:{other.port}"
        for grants, reaches in (((), False), ((f"net.datagram={address}",), True), (("net.datagram=127.0.0.1:1",), False), (("net.datagram=*",), False), (("net.connect=*", "net.listen=*", f"net.connect={address}"), False)):
            with serving(PYTHON, flags=[flag for grant in grants for flag in ("--allow", grant)]) as server:
                other.seen.clear()
                got = say_to(server, "127.0.0.1", other.port)
                assert got == ((200, b"heard olleh from %d" % other.port) if reaches else refused), (grants, got)
                assert other.seen == ([b"hello"] if reaches else []), (grants, other.seen)
                if reaches:
                    assert say_to(server, "127.0.0.1", other.port, "&connect=1") == (200, b"heard olleh")
                    assert say_to(server, "127.0.0.1", 1) == refused
                    for named, expected in ((("127.0.0.1", "1"), b"refused"), (("0.0.0.0", "0"), b"bound"), (("127.0.0.1", "0"), b"refused")):
                        assert ask(f"{server.url}/bind?host={named[0]}&port={named[1]}")[2].startswith(expected), named
            if not reaches:
                assert any("denied: net.datagram" in line and '"fix"' in line for line in server.errors), server.errors


def replay_alike_and_suggest(folder, *suggestions):
    """Both journals there replay as they were recorded, and a policy made of them holds this."""
    journals = sorted(Path(folder).glob("*.bj"))
    assert len(journals) == 2, journals
    for journal in journals:
        replayed = berth("replay", journal, home=folder)
        assert replayed.returncode == 0 and "equal to the recording" in replayed.stderr, replayed
    suggested = berth("policy", "suggest", *journals, home=folder)
    assert suggested.returncode == 0 and all(each in suggested.stdout for each in suggestions), suggested


@case
def recorded_datagrams_are_replayed_without_a_network():
    with tempfile.TemporaryDirectory(prefix="berth-journals-") as folder:
        with datagram_peer() as other, serving(PYTHON, flags=("--record", folder, "--allow", f"net.datagram=127.0.0.1:{other.port}")) as server:
            assert say_to(server, "127.0.0.1", other.port)[0] == 200
            assert say_to(server, "127.0.0.1", 1)[0] == 502
        replay_alike_and_suggest(folder, "net.datagram", f"127.0.0.1:{other.port}")


@case
def options_of_sockets_are_set_and_read():
    with serving(PYTHON, flags=("--allow", "net.datagram=127.0.0.1", "--allow", "net.connect=127.0.0.1")) as server:
        for kind, wanted in (("udp", {"hops": 17, "receive": 20000, "send": 30000}), ("tcp", {"hops": 9, "receive": 20000, "send": 30000, "alive": 1, "idle": 7, "interval": 3, "count": 5})):
            there = json.loads(ask(f"{server.url}/options?kind={kind}&" + urllib.parse.urlencode(wanted))[2])
            assert there == wanted, (kind, there)
            there = json.loads(ask(f"{server.url}/options?kind={kind}&" + urllib.parse.urlencode({name: 0 for name in wanted if name != "alive"}))[2])
            assert set(there.values()) == {"Invalid argument"}, (kind, there)


@case
def recorded_sockets_are_replayed_without_a_network():
    with tempfile.TemporaryDirectory(prefix="berth-journals-") as folder:
        with talker() as other, serving(PYTHON, flags=("--record", folder, "--allow", f"net.connect=127.0.0.1:{other.port}")) as server:
            assert talk(server, "127.0.0.1", other.port)[0] == 200
            assert talk(server, "127.0.0.1", 1)[0] == 502
        replay_alike_and_suggest(folder, f"127.0.0.1:{other.port}")


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
        with serving(("echo", root / "tests/components/hello_http.wat"), flags=flags) as server:
            try:
                status, _, body = ask(f"{server.url}/api/functions/echo", b"{}")
                assert status == 500 and f'"{code}"'.encode() in body, (flags, status, body)
            except (http.client.HTTPException, ConnectionError):
                pass  # its head had gone out before: the answer is cut
            until_ended(server, code)


only = sys.argv[4] if len(sys.argv) > 4 else ""
cases = {name: function for name, function in cases.items() if only in name}
passed, results = 0, {}
for name, function in cases.items():
    try:
        function()
        passed, results[name] = passed + 1, True
    except (AssertionError, OSError, http.client.HTTPException, ValueError, KeyError, IndexError, subprocess.SubprocessError) as problem:
        results[name] = False
        print(f"FAILED {name}: {problem!r}"[:2000])
out_file.parent.mkdir(parents=True, exist_ok=True)
out_file.write_text(json.dumps(results))
print(f"{passed} passed, {len(cases) - passed} failed")
sys.exit(0 if passed == len(cases) else 1)
