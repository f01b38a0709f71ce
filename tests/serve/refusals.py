"""Cases of requests that their head alone refuses: no body is asked for, the answer is read, and each is counted once."""
import hashlib
import json
import os
import re
import socket
import tempfile
import threading
from pathlib import Path
from urllib.parse import urlparse

from harness import ask, case, equal, post, root, serving
from admin import admin_here, admin_url, hello

program = str(root / "examples/functions/plain-sh")
body = b"x" * (6 << 20)
admin_token = ("--set", f"functions.admin_token={hashlib.sha256(b'let-me-in').hexdigest()}")


def said(url, method, path, fields, sent=b""):
    """Everything that a server says to one request, until it closes the connection."""
    address = urlparse(url)
    with socket.create_connection((address.hostname, address.port), timeout=600) as client:
        head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        client.sendall(f"{method} {path} HTTP/1.1\r\nHost: {address.netloc}\r\n{head}\r\n".encode())
        if sent:
            client.sendall(sent)
        else:  # it waits for the word to go on, and for nothing else
            first = b""
            while b"\r\n\r\n" not in first:
                part = client.recv(65536)
                assert part, first
                first += part
            client.shutdown(socket.SHUT_WR)
            return first + rest_of(client)
        client.shutdown(socket.SHUT_WR)
        return rest_of(client)


def rest_of(client):
    text = b""
    while part := client.recv(65536):
        text += part
    return text


def refused(url, method, path, fields=None, body=body):
    """The status of a refusal, the same whether the client waits for the word to send its body, or sends it at once."""
    fields = fields or {}
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    found = set()
    for framing, sent in ({"Content-Length": len(body)}, body), ({"Transfer-Encoding": "chunked"}, chunked):
        for more, at_once in ({"Expect": "100-continue"}, b""), ({}, sent):
            text = said(url, method, path, fields | framing | more, at_once).decode()
            lines = re.findall(r"^HTTP/1\.1 (\d+)", text, re.MULTILINE)
            equal((len(lines), "connection: close" in text.lower()), (1, True))
            found.add(int(lines[0]))
    equal(len(found), 1)
    return found.pop()


def decided_by_the_head(*more):
    with serving(hello, program, *admin_here, *admin_token, *more) as server:
        admin = admin_url(server)
        wrong = {"Authorization": "Bearer wrong"}
        equal(refused(server.url, "POST", "/nothing"), 404)
        equal(refused(server.url, "POST", "/api/functions/nothing"), 404)
        equal(refused(server.url, "PUT", "/api/functions/main"), 405)
        equal(refused(server.url, "POST", "/health"), 405)
        equal(refused(server.url, "POST", "/api/functions/main", wrong), 401)
        equal(refused(server.url, "POST", "/api/functions/index", wrong), 401)
        equal(refused(server.url, "POST", "/api/functions/main", {"Content-Encoding": "br"}), 415)
        equal(refused(server.url, "POST", "/api/functions/index", {"Content-Type": "text/html"}), 415)
        equal(refused(server.url, "POST", "/api/functions/index", {"Accept": "text/html"}), 406)
        equal(refused(admin, "POST", "/admin/reload", wrong, body=body[:60_000]), 401)
        equal(refused(admin, "POST", "/admin/reload", {"Authorization": "Bearer beep"}, body=body[:60_000]), 403)
        equal(refused(admin, "POST", "/admin/nothing", body=body[:60_000]), 404)
        equal(refused(admin, "PUT", "/admin/drain", body=body[:60_000]), 405)
        equal(refused(admin, "POST", "/admin/calls/01890000-0000-7000-8000-000000000000/revoke", body=body[:60_000]), 404)
        # What is taken is asked for, and comes whole.
        for path in ("/api/functions/main", "/api/functions/index"):
            for sent in (b'{"n":"%s"}' % (b"y" * 20_000), iter([b'{"n":', b"1}"])):  # with a length, and in chunks
                equal(ask("POST", server.url + path, sent, {"Content-Type": "application/json"})[0], 200)
        equal(ask("POST", admin + "/admin/drain")[0], 202)
        equal(refused(server.url, "POST", "/api/functions/main"), 503)
        equal(refused(server.url, "POST", "/api/functions/index"), 503)


@case
def what_a_head_decides_is_answered_without_the_body():
    with tempfile.TemporaryDirectory(prefix="berth-refusals-") as folder:
        config = Path(folder) / "berth.yaml"
        config.write_text(f"server: {{auth: {{tokens: {{robot: {hashlib.sha256(b'beep').hexdigest()}}}}}}}\n")
        decided_by_the_head("--config", str(config))
    with serving(hello, "--port", "0", "--set", "functions.max_body=1kb") as server:
        text = said(server.url, "POST", "/api/functions/main", {"Content-Length": len(body), "Expect": "100-continue"}).decode()
        assert text.startswith("HTTP/1.1 413"), text
        assert said(server.url, "POST", "/api/functions/main", {"Transfer-Encoding": "chunked"}, b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)).startswith(b"HTTP/1.1 413")
    with serving(hello, "--port", "0", "--set", "server.rate=1/h") as server:
        equal(post(server.url + "/api/functions/main", "{}")[0], 200)
        equal(refused(server.url, "POST", "/api/functions/main"), 429)


def counted(url):
    """What was refused, by reason."""
    text = ask("GET", url + "/metrics")[1].decode()
    return {reason: int(count) for reason, count in re.findall(r'^berth_http_rejected_total\{reason="(\w+)"\} (\d+)$', text, re.MULTILINE)}


@case
def every_refusal_is_counted_once_by_its_reason():
    with serving(hello, program, *admin_here, *admin_token, "--set", "functions.max_body=1kb") as server:
        admin = admin_url(server)
        equal(counted(admin), {})
        function = server.url + "/api/functions/main"
        equal(ask("POST", function, b"{}", {"Authorization": "Bearer wrong"})[0], 401)
        equal(ask("GET", server.url + "/api/functions", None, {"Authorization": "Bearer wrong"})[0], 401)
        equal(ask("GET", admin + "/admin/calls", None, {"Authorization": "Bearer wrong"})[0], 401)
        equal(counted(admin), {"auth": 3})
        equal(ask("POST", function, b"x" * 2000)[0], 413)
        for path in ("main", "index"):
            assert said(server.url, "POST", f"/api/functions/{path}", {"Transfer-Encoding": "chunked"}, b"800\r\n" + b"x" * 0x800 + b"\r\n0\r\n\r\n").startswith(b"HTTP/1.1 413")
        equal(counted(admin), {"auth": 3, "body_size": 3})
        assert said(server.url, "GET", "/health", {"X": "x" * 20_000}, b"x").startswith(b"HTTP/1.1 431")
        assert said(server.url, "GET", "/" + "x" * 10_000, {}, b"x").startswith(b"HTTP/1.1 414")
        equal(counted(admin), {"auth": 3, "body_size": 3, "headers": 2})
        assert said(server.url, "GET", "/health", {"Host": "twice"}, b"x").startswith(b"HTTP/1.1 400")
        assert said(server.url, "POST", "/api/functions/main", {"Transfer-Encoding": "chunked"}, b"no size\r\n").startswith(b"HTTP/1.1 400")
        equal(counted(admin), {"auth": 3, "body_size": 3, "headers": 2, "malformed": 2})
        equal(ask("POST", admin + "/admin/drain")[0], 202)
        equal((post(function, "{}")[0], post(server.url + "/api/functions/index", "{}")[0]), (503, 503))
        equal(counted(admin), {"auth": 3, "body_size": 3, "headers": 2, "malformed": 2, "draining": 2})
    with tempfile.TemporaryDirectory(prefix="berth-refusals-") as folder:
        held = Path(folder) / "held"
        os.mkfifo(held)
        (Path(folder) / "functions").mkdir()
        (Path(folder) / "functions/waits.sh").write_text(f"#!/bin/sh\ncat {held}\n")
        with serving(f"{folder}/functions", *admin_here, "--set", "functions.max_concurrency=1", "--set", "functions.queue_depth=0") as server:
            admin, function = admin_url(server), server.url + "/api/functions/waits"
            outcome = []
            caller = threading.Thread(target=lambda: outcome.append(post(function, "{}")[0]))
            caller.start()
            with held.open("w") as end:  # opens when the program has
                equal(post(function, "{}")[0], 503)
                equal(counted(admin), {"queue_full": 1})
                end.write('{"success": true}')
            caller.join(600)
            equal((outcome, counted(admin)), ([200], {"queue_full": 1}))


@case
def refusals_of_the_administrators_listener_are_those_of_the_front():
    with serving(hello, *admin_here, *admin_token, "--set", "server.metrics_auth=required") as server:
        admin = admin_url(server)
        known = "0197a3c2-6f0e-7c31-9d53-0a4f6a1be2d4"
        for url in (admin + "/admin/calls", server.url + "/metrics", server.url + "/api/functions/main"):
            method = "POST" if "main" in url else "GET"
            status, text, headers = ask(method, url, b"{}" if method == "POST" else None, {"Authorization": "Bearer wrong", "X-Request-Id": known})
            equal((url, status, headers["x-request-id"], known in text.decode()), (url, 401, known, True))
            equal(headers["www-authenticate"], 'Bearer realm="berth", error="invalid_token"')
        status, text, headers = ask("GET", admin + "/admin/calls", None, {"Host": "evil.example"})
        equal((status, headers["www-authenticate"], json.loads(text)["error"]["request_id"]), (401, 'Bearer realm="berth"', headers["x-request-id"]))
        for method, path, status in (("GET", "/nothing", 404), ("GET", "/admin/calls?limit=x", 400), ("PUT", "/admin/calls", 405), ("GET", "/admin/calls/none", 404)):
            found, text, headers = ask(method, admin + path)
            equal((path, found, json.loads(text)["error"]["request_id"]), (path, status, headers["x-request-id"]))
