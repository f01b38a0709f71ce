"""Cases of the administrator's listener, reload, TLS, credentials, development and production."""
import base64
import hashlib
import http.client
import http.server
import json
import os
import shutil
import signal
import ssl
import subprocess
import tempfile
import threading
from pathlib import Path

from harness import ask, binary, case, equal, post, root, serving  # first: it says where the others lie
from cases import until
from certificates import certificate
from json_schema import problem_of

hello = str(root / "examples/functions/hello-wasm/main.wat")
spin = str(root / "tests/cli/fixtures/kit/spin.wat")
admin_here = ("--port", "0", "--set", "admin.listen=127.0.0.1:0")


def admin_url(server):
    line = server.stdout.readline()
    assert line.startswith("Listening on "), line
    return line.removeprefix("Listening on ").strip()


def as_json(answer):
    return json.loads(answer[1])


def cli(*arguments, home):
    done = subprocess.run([binary, *arguments], capture_output=True, text=True, env={"PATH": os.environ["PATH"], "HOME": str(home)}, timeout=600)
    return done.returncode, done.stdout, done.stderr


def document(text, kind, home):
    """A printed document that fits the schema which the binary prints for it."""
    value = json.loads(text)
    equal((value["$type"], problem_of(value, json.loads(cli("help", "--schema", kind, home=home)[1]))), (kind, ""))
    return value


@case
def the_administrator_lists_shows_and_cancels_calls():
    with tempfile.TemporaryDirectory(prefix="berth-admin-") as home, serving(spin, *admin_here, "--timeout", "10m") as server:
        admin = admin_url(server)
        outcome = []
        caller = threading.Thread(target=lambda: outcome.append(post(server.url + "/api/functions/spin", "")))
        caller.start()
        running = until(lambda: as_json(ask("GET", admin + "/admin/calls?status=running"))["calls"], "a running call")
        equal(len(running), 1)
        call = running[0]["id"]
        equal(running[0]["function_id"], "spin")
        equal(as_json(ask("GET", f"{admin}/admin/calls/{call}"))["status"], "running")
        status, text, _ = cli("calls", "list", "--url", admin, home=home)
        equal((status, text.split()[:3]), (0, [call, "running", "spin"]))
        status, text, _ = cli("calls", "show", call, "--url", admin, "--json", home=home)
        equal((status, document(text, "berth.call", home)["id"]), (0, call))
        document(cli("calls", "list", "--json", "--url", admin, home=home)[1], "berth.call", home)
        equal(document(cli("calls", "cancel", call, "--json", "--url", admin, home=home)[1], "berth.call_cancelled", home)["id"], call)
        caller.join(600)
        equal((outcome[0][0], json.loads(outcome[0][1])["error"]["code"]), (499, "cancelled"))
        equal(ask("POST", f"{admin}/admin/calls/{call}/cancel")[0], 409)
        equal(ask("DELETE", f"{admin}/admin/calls/{call}")[0], 409)
        equal(ask("GET", f"{admin}/admin/calls/01890000-0000-7000-8000-000000000000")[0], 404)
        equal(as_json(ask("GET", f"{admin}/admin/calls/{call}"))["status"], "canceled")
        equal(cli("calls", "cancel", call, "--url", admin, home=home)[0], 1)
        equal(ask("GET", f"{admin}/admin/calls?limit=x")[0], 400)
        equal(ask("PUT", f"{admin}/admin/calls")[0], 405)


@case
def a_capability_is_taken_away_from_a_running_call():
    # It asks for the time again and again; the answer of a revoked capability is an error, with which it ends.
    asking = """(module (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
      (memory (export "memory") 1) (func (export "_start") (loop $l (br_if $l (i32.eqz (call $time (i32.const 0) (i64.const 0) (i32.const 8)))))))"""
    with tempfile.TemporaryDirectory(prefix="berth-revoke-") as home:
        (Path(home) / "asking.wat").write_text(asking)
        with serving(str(Path(home) / "asking.wat"), *admin_here, "--timeout", "10m", "--limit", "host_calls=none", "--limit", "fuel=none") as server:
            admin = admin_url(server)
            outcome = []
            caller = threading.Thread(target=lambda: outcome.append(post(server.url + "/api/functions/asking", "")[0]))
            caller.start()
            call = until(lambda: as_json(ask("GET", admin + "/admin/calls?status=running"))["calls"], "a running call")[0]["id"]
            address = f"{admin}/admin/calls/{call}/revoke"
            equal(ask("POST", address, b'{"capability":"time.nwo"}')[0], 400)
            equal(ask("POST", address, b"{}")[0], 400)
            # Until the module is compiled and its grants are settled, what is taken away is noted for the call, and counts as held.
            until(lambda: as_json(ask("POST", address, b'{"capability":"net.fetch"}'))["held"] is False, "an answer by the guest's own grants")
            status, text, _ = cli("policy", "revoke", call, "time.now", "--json", "--url", admin, home=home)
            equal((status, document(text, "berth.revoked", home)["held"]), (0, True))
            caller.join(600)
            equal(outcome, [200])
            equal(ask("POST", address, b'{"capability":"time.now"}')[0], 409)


@case
def the_administrators_routes_are_on_their_listener_and_for_local_requests_only():
    with serving(hello, *admin_here) as server:
        admin = admin_url(server)
        equal(ask("GET", server.url + "/admin/calls")[0], 404)
        equal(ask("GET", admin + "/admin/calls")[0], 200)
        equal(ask("POST", admin + "/api/functions/main", b"{}")[0], 404)
        for headers in ({"Host": "evil.example"}, {"Host": "127.0.0.1.evil.example:80"}, {"Origin": "https://evil.example"}, {"Origin": "null"}, {"X-Forwarded-For": "192.0.2.1"}):
            equal((headers, ask("POST", admin + "/admin/drain", b"", headers)[0]), (headers, 401))
            equal((headers, ask("GET", admin + "/metrics", None, headers)[0]), (headers, 401))
        equal(ask("GET", admin + "/health/ready", None, {"Host": "evil.example"})[0], 200)
        equal(ask("GET", admin + "/admin/calls", None, {"Host": "localhost:1", "Origin": "http://localhost:3000"})[0], 200)
        equal(ask("GET", admin + "/console")[0], 501)
        status, text, headers = ask("GET", admin + "/metrics", None, {"Accept": "application/openmetrics-text; version=1.0.0, text/plain;q=0.5"})
        equal((status, headers["content-type"].split(";")[0], text.endswith(b"# EOF\n")), (200, "application/openmetrics-text", True))
        assert b"# TYPE berth_http_requests counter\n" in text and b"berth_build_info{version=" in text


@case
def metrics_can_be_the_administrators_alone():
    with serving(hello, *admin_here, "--set", "telemetry.metrics=admin") as server:
        admin = admin_url(server)
        equal((ask("GET", server.url + "/metrics")[0], ask("GET", admin + "/metrics")[0]), (404, 200))
    with serving(hello, "--port", "0", "--set", "telemetry.metrics=admin") as server:
        equal((server.first_line, server.wait(timeout=600)), ("", 78))


@case
def metrics_beside_the_functions_can_ask_for_a_credential():
    digest = hashlib.sha256(b"let-me-in").hexdigest()
    with serving(hello, "--port", "0", "--set", "server.metrics_auth=required", "--set", f"functions.admin_token={digest}") as server:
        equal([ask("GET", server.url + path)[0] for path in ("/metrics", "/health/live")], [401, 200])
        equal([ask("GET", server.url + "/metrics", headers={"Authorization": f"Bearer {token}"})[0] for token in ("wrong", "let-me-in")], [401, 200])
    with serving(hello, "--port", "0", "--set", "server.metrics_auth=sometimes") as server:
        equal(server.wait(timeout=600), 78)
    assert any("server.metrics_auth" in line for line in server.errors), server.errors


@case
def beyond_loopback_the_administrator_needs_a_token():
    with serving(hello, "--port", "0", "--set", "admin.listen=0.0.0.0:0") as server:
        equal((server.first_line, server.wait(timeout=600)), ("", 78))
    digest = hashlib.sha256(b"let-me-in").hexdigest()
    with serving(hello, "--port", "0", "--set", "admin.listen=0.0.0.0:0", "--set", f"functions.admin_token={digest}") as server:
        admin = admin_url(server).replace("0.0.0.0", "127.0.0.1")
        equal(ask("GET", admin + "/admin/calls")[0], 401)
        equal(ask("GET", admin + "/admin/calls", None, {"Authorization": "Bearer wrong"})[0], 401)
        equal(ask("GET", admin + "/admin/calls", None, {"Authorization": "Bearer let-me-in"})[0], 200)
        equal(ask("GET", admin + "/health")[0], 200)


@case
def a_reload_takes_over_what_it_can_and_lists_the_rest():
    with tempfile.TemporaryDirectory(prefix="berth-reload-") as folder:
        folder = Path(folder)
        shutil.copy(hello, folder / "hello.wat")
        (folder / "functions").mkdir()
        shutil.copy(hello, folder / "functions/one.wat")
        config = folder / "berth.yaml"
        config.write_text("admin: {listen: '127.0.0.1:0'}\nserver: {port: 0}\n")
        with serving("functions", cwd=folder) as server:
            admin = admin_url(server)
            equal(ask("GET", server.url + "/metrics", None, {"Accept-Encoding": "gzip"})[2].get("content-encoding"), None)
            config.write_text("admin: {listen: '127.0.0.1:0'}\nserver: {port: 0, compress: true, grace: 3s}\n")
            shutil.copy(hello, folder / "functions/two.wat")
            status, text, _ = ask("POST", admin + "/admin/reload")
            done = json.loads(text)
            equal((status, done["functions"]["added"], done["configuration"]), (200, ["two"], {"changed": ["server.compress"], "needs_restart": ["server.grace"]}))
            equal(ask("GET", server.url + "/metrics", None, {"Accept-Encoding": "gzip"})[2].get("content-encoding"), "gzip")
            equal(post(server.url + "/api/functions/two", "{}")[0], 200)
            # What is wrong changes nothing, functions included.
            config.write_text("server: {port: 0, compress: perhaps}\n")
            shutil.copy(hello, folder / "functions/three.wat")
            status, text, _ = ask("POST", admin + "/admin/reload")
            equal((status, json.loads(text)["error"]["code"]), (500, "config_error"))
            equal(post(server.url + "/api/functions/three", "{}")[0], 404)
            equal(ask("GET", server.url + "/metrics", None, {"Accept-Encoding": "gzip"})[2].get("content-encoding"), "gzip")
            # A signal does the same.
            config.write_text("admin: {listen: '127.0.0.1:0'}\nserver: {port: 0}\n")
            server.send_signal(signal.SIGHUP)
            until(lambda: post(server.url + "/api/functions/three", "{}")[0] == 200, "the third function")
            until(lambda: ask("GET", server.url + "/metrics", None, {"Accept-Encoding": "gzip"})[2].get("content-encoding") is None, "compression is off")


@case
def a_drained_host_is_not_ready_and_takes_nothing_new():
    with serving(hello, *admin_here) as server:
        admin = admin_url(server)
        equal(post(server.url + "/api/functions/main", "{}")[0], 200)
        equal(ask("GET", admin + "/admin/drain")[0], 405)
        status, text, _ = ask("POST", admin + "/admin/drain")
        equal((status, json.loads(text)), (202, {"status": "draining", "in_flight": 0}))
        for url in (server.url, admin):
            equal(ask("GET", url + "/health/ready")[0], 503)
            equal(as_json(ask("GET", url + "/health"))["status"], "draining")
        equal(post(server.url + "/api/functions/main", "{}")[0], 503)
        server.send_signal(signal.SIGTERM)
        equal(server.wait(timeout=600), 0)


@case
def tls_is_served_and_its_certificate_is_exchanged_by_a_reload():
    with tempfile.TemporaryDirectory(prefix="berth-tls-") as folder:
        folder = Path(folder)
        certificate(folder, "first")
        certificate(folder, "second")
        shutil.copy(folder / "first.crt", folder / "now.crt")
        shutil.copy(folder / "first.key", folder / "now.key")
        with serving(hello, *admin_here, "--set", f"server.tls.cert={folder}/now.crt", "--set", f"server.tls.key={folder}/now.key") as server:
            assert server.url.startswith("https://127.0.0.1:"), server.first_line
            admin = admin_url(server)
            assert admin.startswith("https://"), admin
            first, second = (ssl.create_default_context(cafile=folder / f"{name}.crt") for name in ("first", "second"))
            first.set_alpn_protocols(["h2", "http/1.1"])
            address = server.url.removeprefix("https://")
            connection = http.client.HTTPSConnection(address, context=first, timeout=600)
            for _ in range(3):
                connection.request("POST", "/api/functions/main", b'{"name":"Ada"}')
                answer = connection.getresponse()
                equal((answer.status, json.loads(answer.read())), (200, {"greeting": "Hello, Ada!"}))
            equal(connection.sock.selected_alpn_protocol(), "http/1.1")
            # The verbs that talk to a host speak TLS as well, and verify it.
            status, text, _ = cli("calls", "list", "--all", "--json", "--url", admin, "--set", f"network.ca_file={folder}/first.crt", home=folder)
            equal((status, len(text.splitlines())), (0, 3))
            status, _, told = cli("calls", "list", "--all", "--url", admin, home=folder)
            assert status != 0 and "certificate" in told, (status, told)
            shutil.copy(folder / "second.crt", folder / "now.crt")
            equal(ask("POST", admin + "/admin/reload", b"", context=first)[0], 500)  # the key is still the first one's
            equal(ask("GET", server.url + "/health", context=first)[0], 200)
            shutil.copy(folder / "second.key", folder / "now.key")
            equal(ask("POST", admin + "/admin/reload", b"", context=first)[0], 200)
            equal(ask("GET", server.url + "/health", context=second)[0], 200)
            connection.request("GET", "/health")  # the connection that was there goes on
            equal(connection.getresponse().status, 200)
            connection.close()
        with serving(hello, "--port", "0", "--set", f"server.tls.cert={folder}/now.crt") as server:
            equal((server.first_line, server.wait(timeout=600)), ("", 78))


def unpadded(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@case
def signed_credentials_are_verified_with_public_keys():
    with tempfile.TemporaryDirectory(prefix="berth-jwt-") as folder:
        folder = Path(folder)
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", folder / "key.pem"], check=True, capture_output=True)
        public = subprocess.run(["openssl", "pkey", "-in", folder / "key.pem", "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout[-32:]
        (folder / "keys.json").write_text(json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "one", "x": unpadded(public)}, {"kty": "EC", "crv": "secp256k1"}]}))

        def token(claims, kid="one"):
            text = unpadded(json.dumps({"alg": "EdDSA", "kid": kid}).encode()) + "." + unpadded(json.dumps(claims).encode())
            (folder / "text").write_text(text)
            made = subprocess.run(["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", folder / "key.pem", "-in", folder / "text"], check=True, capture_output=True).stdout
            return {"Authorization": f"Bearer {text}.{unpadded(made)}"}

        far = 4102444800  # the year 2100
        with serving(hello, *admin_here, "--set", f"server.auth.jwks_file={folder}/keys.json", "--set", "server.auth.audience=berth", "--set", "functions.auth=required") as server:
            admin = admin_url(server)
            good = token({"sub": "ada", "exp": far, "aud": ["berth"]})

            def status(headers):
                return ask("POST", server.url + "/api/functions/main", b"{}", headers)[0]

            equal(status({}), 401)
            equal(status(good), 200)
            for headers, challenge in (({}, 'Bearer realm="berth"'), (token({"sub": "ada", "exp": 1, "aud": "berth"}), 'Bearer realm="berth", error="invalid_token"')):
                equal(ask("POST", server.url + "/api/functions/main", b"{}", headers)[2]["www-authenticate"], challenge)
            _, text, headers = ask("GET", server.url + "/nowhere")
            equal(json.loads(text)["error"]["request_id"], headers["x-request-id"])
            equal(status(token({"sub": "ada", "exp": far, "aud": "other"})), 401)
            equal(status(token({"sub": "ada", "exp": 1, "aud": "berth"})), 401)
            equal(status(token({"sub": "ada", "exp": far, "aud": "berth"}, kid="two")), 401)
            head, body, made = good["Authorization"].split(".")
            equal(status({"Authorization": f"{head}.{unpadded(json.dumps({'sub': 'eve', 'exp': far, 'aud': 'berth'}).encode())}.{made}"}), 401)
            equal(status({"Authorization": "Bearer " + unpadded(b'{"alg":"none"}') + "." + body + "."}), 401)
            equal(as_json(ask("GET", admin + "/admin/calls?limit=1"))["count"], 1)

        class Issuer(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                found = folder / self.path.removeprefix("/")
                body = found.read_bytes() if found.is_file() else b""
                self.send_response(200 if body else 404)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        issuer = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Issuer)
        threading.Thread(target=issuer.serve_forever, daemon=True).start()
        place = f"http://127.0.0.1:{issuer.server_address[1]}"
        settings = ("--set", "server.auth.audience=berth", "--set", "functions.auth=required")
        with serving(hello, *admin_here, "--set", f"server.auth.jwks_url={place}/keys.json", *settings) as server:
            def status_now(headers):
                return ask("POST", server.url + "/api/functions/main", b"{}", headers)[0]

            equal((status_now(good), status_now({}), status_now(token({"sub": "ada", "exp": far, "aud": "berth"}, kid="two"))), (200, 401, 401))
            equal(ask("GET", admin_url(server) + "/admin/calls", b"", token({"sub": "root", "role": "admin", "exp": far, "aud": "berth"}))[0], 200)
        with serving(hello, *admin_here, "--set", f"server.auth.jwks_url={place}/nothing", *settings) as server:
            equal(ask("POST", server.url + "/api/functions/main", b"{}", good)[0], 503)
            equal(ask("POST", server.url + "/api/functions/main", b"{}", {})[0], 401)
        issuer.shutdown()
        issuer.server_close()
        for wrong in (("server.auth.jwks_url=http://a.example/keys", 78), ("server.auth.jwks_url=nowhere", 78), (f"server.auth.jwks_file={folder}/text", 78), ("server.auth.algorithms=RS256", 78)):
            with serving(hello, "--port", "0", "--set", wrong[0]) as server:
                equal((wrong[0], server.first_line, server.wait(timeout=600)), (wrong[0], "", wrong[1]))


class Events:
    """A client of server-sent events."""

    def __init__(self, url, path, headers=None):
        self.connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=600)
        self.connection.request("GET", path, headers=headers or {})
        self.answer = self.connection.getresponse()
        equal((self.answer.status, self.answer.headers["Content-Type"]), (200, "text/event-stream"))

    def next(self):
        event = {}
        while True:
            line = self.answer.readline().decode().rstrip("\n")
            if not line:
                return event if event else self.next()
            name, _, value = line.partition(": ")
            event[name] = json.loads(value) if name == "data" else value

    def until(self, kind):
        while True:
            event = self.next()
            if event["event"] == kind:
                return event

    def close(self):
        self.connection.close()


@case
def development_swaps_versions_keeps_the_last_good_one_and_tells_what_happens():
    with tempfile.TemporaryDirectory(prefix="berth-dev-") as folder:
        folder = Path(folder)
        (folder / "functions").mkdir()
        module = folder / "functions/hello.wat"
        shutil.copy(hello, module)
        with serving("functions", "--port", "0", verb="dev", cwd=folder) as server:
            events = Events(server.url, "/api/functions/events")
            greet = lambda: post(server.url + "/api/functions/hello", '{"name":"Ada"}')[:2]
            equal(json.loads(greet()[1]), {"greeting": "Hello, Ada!"})
            changed = module.read_text().replace("Hello, ", "Howdy, ")
            module.write_text(changed)
            event = events.until("function.changed")
            equal((event["data"]["function"], event["data"]["type"]), ("hello", "function.changed"))
            equal(json.loads(greet()[1]), {"greeting": "Howdy, Ada!"})
            module.write_text("(module (this is nothing")
            event = events.until("function.invalid")
            assert "the one before goes on" in event["data"]["text"], event
            equal(json.loads(greet()[1]), {"greeting": "Howdy, Ada!"})
            shutil.copy(hello, folder / "functions/more.wat")
            last = events.until("function.added")["id"]
            (folder / "functions/more.wat").unlink()
            equal(events.until("function.removed")["data"]["function"], "more")
            events.close()
            again = Events(server.url, "/api/functions/events", {"Last-Event-ID": last})
            equal(again.until("function.removed")["data"]["function"], "more")
            again.close()
        assert any("administrator http://127.0.0.1:" in line for line in server.errors), server.errors


@case
def logs_are_followed_as_they_come_and_a_server_that_ends_does_not_wait_for_who_follows():
    with tempfile.TemporaryDirectory(prefix="berth-logs-") as folder:
        folder = Path(folder)
        (folder / "functions/say").mkdir(parents=True)
        (folder / "functions/say/index.py").write_text(
            'import json, sys\nrequest = json.load(sys.stdin)\nword = request["input"]["word"]\njson.dump({"success": True, "output": word, "logs": [{"level": "info", "message": word}]}, sys.stdout)\n')
        (folder / "functions/tells.wat").write_text(
            """(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32))) (memory (export "memory") 1)
            (data (i32.const 0) "\\10\\00\\00\\00\\0c\\00\\00\\00") (data (i32.const 16) "from a wasm\\0a")
            (func (export "_start") (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 64)))))""")
        with serving("functions", *admin_here, cwd=folder) as server:
            admin = admin_url(server)
            equal(post(server.url + "/api/functions/tells", "")[0], 200)
            told = document(cli("logs", "tells", "--json", "--url", admin, home=folder)[1], "berth.log", folder)
            equal((told["message"], told["source"], told["function"]), ("from a wasm", "stderr", "tells"))
            equal(post(server.url + "/api/functions/say", '{"word":"before"}')[0], 200)
            events = Events(admin, "/admin/logs?follow=1&function=say")
            equal(events.until("log")["data"]["message"], "before")
            equal(post(server.url + "/api/functions/say", '{"word":"after"}')[0], 200)
            equal(events.until("log")["data"]["message"], "after")
            status, text, errors = cli("logs", "say", "--url", admin, home=folder)
            equal((status, "before" in text, "after" in text), (0, True, True))
            for line in cli("logs", "--json", "--url", admin, home=folder)[1].splitlines():
                document(line, "berth.log", folder)
            equal(cli("logs", "--level", "error", "--url", admin, home=folder)[1], "")
            server.send_signal(signal.SIGTERM)
            equal(events.answer.read(), b"")
            equal(server.wait(timeout=600), 0)


@case
def production_says_everything_that_keeps_it_from_starting():
    with serving(hello, "--environment", "production", "--expose-errors", "--memory", "none", "--port", "0", "--set", "admin.listen=0.0.0.0:0", "--set", "functions.records=memory") as server:
        equal((server.first_line, server.wait(timeout=600)), ("", 78))
    text = "".join(server.errors)
    for part in ("a preset instead of written grants", "the limit memory is none", "server.expose_errors", "functions.records: memory", "0.0.0.0:0 without credentials", "0.0.0.0:0 without TLS"):
        assert part in text, (part, text)
    equal(text.count("error["), 1)


asking = """(module (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
  (memory (export "memory") 1) (func (export "_start") (loop $l (br_if $l (i32.eqz (call $time (i32.const 0) (i64.const 0) (i32.const 8)))))))"""


@case
def a_reload_takes_policies_over_and_ends_what_calls_have_lost():
    with tempfile.TemporaryDirectory(prefix="berth-policies-") as folder:
        folder = Path(folder)
        (folder / "f").mkdir()
        (folder / "f/asking.wat").write_text(asking)
        (folder / "f/one.py").write_text("print('{\"success\":true,\"output\":1}')\n")
        policy = folder / "pol.yaml"
        policy.write_text("policy: 1\nmatch: {world: wasi}\ngrants: {time.now: {}}\n")
        with serving("f", *admin_here, "--policy", "pol.yaml", "--timeout", "10m", "--set", "limits.wasi.host_calls=none", "--set", "limits.wasi.fuel=none", cwd=folder) as server:
            admin = admin_url(server)
            outcome = []
            caller = threading.Thread(target=lambda: outcome.append(post(server.url + "/api/functions/asking", "")[0]))
            caller.start()
            call = until(lambda: as_json(ask("GET", admin + "/admin/calls?status=running"))["calls"], "a running call")[0]["id"]
            until(lambda: as_json(ask("POST", f"{admin}/admin/calls/{call}/revoke", b'{"capability":"net.fetch"}'))["held"] is False, "an answer by the guest's own grants")

            def reload():
                return as_json(ask("POST", admin + "/admin/reload", b""))

            nothing = reload()
            equal((nothing["functions"]["changed"], nothing["configuration"]["changed"]), ([], []))
            for wrong in ("policy: 9\n", None):
                policy.unlink() if wrong is None else policy.write_text(wrong)
                assert ask("POST", admin + "/admin/reload", b"")[0] >= 400
            equal(len(as_json(ask("GET", admin + "/admin/calls?status=running"))["calls"]), 1)
            policy.write_text("- {policy: 1, match: {world: wasi}}\n- {policy: 1, match: {world: subprocess}, limits: {output: 1B}}\n")
            answer = reload()
            equal((sorted(answer["functions"]["changed"]), answer["configuration"]), (["asking", "one"], {"changed": ["--policy pol.yaml"], "needs_restart": []}))
            caller.join(600)
            equal(outcome, [200])
            equal(post(server.url + "/api/functions/asking", "")[0], 200)
            equal(json.loads(post(server.url + "/api/functions/one", "{}")[1])["error"]["code"], "OUTPUT_TOO_LARGE")
            policy.write_text("policy: 1\nmatch: {world: wasi}\ntrust: nobody.json\n")
            (folder / "nobody.json").write_text('{"keys": []}')
            answer = reload()["functions"]
            equal((answer["invalid"], answer["problems"]["asking"][0]["number"]), (["asking"], "signature_invalid"))
            assert post(server.url + "/api/functions/asking", "")[0] >= 400
            equal(post(server.url + "/api/functions/one", "{}")[0], 200)


@case
def policies_of_the_configuration_are_taken_over_and_production_keeps_its_rules():
    with tempfile.TemporaryDirectory(prefix="berth-policies-") as folder:
        folder = Path(folder)
        shutil.copy(hello, folder)
        config = folder / "berth.yaml"
        written = "policies: [{policy: 1, match: {world: wasi}}]\n"
        config.write_text(written)
        with serving("main.wat", *admin_here, "--environment", "production", "--state-dir", str(folder / "state"), cwd=folder) as server:
            admin = admin_url(server)
            config.write_text("server: {compress: false}\n")
            status, text, _ = ask("POST", admin + "/admin/reload", b"")
            assert status >= 400 and b"preset" in text, text
            config.write_text(written.replace("}}", "}, grants: {time.now: {}}}"))
            equal(as_json(ask("POST", admin + "/admin/reload", b""))["configuration"], {"changed": ["policies"], "needs_restart": []})
            equal(post(server.url + "/api/functions/main", '{"name":"Ada"}')[0], 200)


@case
def a_reload_says_why_a_function_is_invalid():
    with tempfile.TemporaryDirectory(prefix="berth-invalid-") as folder:
        folder = Path(folder)
        shutil.copy(hello, folder / "hello.wat")
        (folder / "one").mkdir()
        (folder / "one/index.py").write_text("print('{\"success\":true,\"output\":1}')\n")
        with serving(str(folder), *admin_here) as server:
            admin = admin_url(server)
            (folder / "hello.wat").write_text("(module (this is nothing")
            (folder / "one/manifest.yaml").write_text("timeout: fast\n")
            found = as_json(ask("POST", admin + "/admin/reload", b""))["functions"]
            equal(sorted(found["invalid"]), ["hello", "one"])
            assert "the one before goes on" in found["problems"]["hello"][0]["text"], found
            assert "timeout" in found["problems"]["one"][0]["text"], found
            equal([post(server.url + f"/api/functions/{name}", "{}")[0] for name in ("hello", "one")], [200, 200])
        for part in ("hello is invalid", "one is invalid"):
            assert any(part in line for line in server.errors), server.errors


@case
def flags_for_modules_are_taken_beside_programs_and_what_does_not_reach_those_is_said():
    with tempfile.TemporaryDirectory(prefix="berth-mixed-") as folder:
        (Path(folder) / "one.py").write_text("print('{\"success\":true,\"output\":1}')\n")
        shutil.copy(hello, folder)
        with serving(folder, "--port", "0", "--fuel", "100000000", "--allow", "time.now", "--limit", "output=1B") as server:
            equal(post(server.url + "/api/functions/main", '{"name":"Ada"}')[0], 500)
            equal(json.loads(post(server.url + "/api/functions/one", "{}")[1])["error"]["code"], "OUTPUT_TOO_LARGE")
        said = [line.strip() for line in server.errors if "cannot hold" in line]
        equal([line.split(", and ")[1] for line in said if line.startswith("one: ")], ["--allow time.now cannot hold for it", "the limit fuel of the command line cannot hold for it"])


@case
def other_peoples_clients_get_along_with_it():
    script = """
      const url = process.argv[1]; const http = require('http'); const agent = new http.Agent({keepAlive: true, maxSockets: 2});
      const ask = (n) => new Promise((done, failed) => { const body = JSON.stringify({name: 'n' + n});
        const request = http.request(url + '/api/functions/main', {method: 'POST', agent, headers: n % 2 ? {'Transfer-Encoding': 'chunked'} : {'Content-Length': body.length}}, (answer) => {
          let text = ''; answer.on('data', (part) => text += part); answer.on('end', () => done(answer.statusCode + text.trim())); }); request.on('error', failed); request.end(body); });
      (async () => { const all = await Promise.all([...Array(50).keys()].map(ask));
        if (!all.every((text, n) => text === '200{"greeting":"Hello, n' + n + '!"}')) { console.log(all); process.exit(1); }
        const answer = await fetch(url + '/metrics', {headers: {'accept-encoding': 'gzip'}}); const text = await answer.text();
        console.log(answer.headers.get('content-encoding'), text.includes('berth_http_requests_total')); agent.destroy(); })();
    """
    with serving(hello, "--port", "0", "--set", "server.compress=true") as server:
        if shutil.which("node"):
            done = subprocess.run(["node", "-e", script, server.url], capture_output=True, text=True, timeout=600)
            equal((done.returncode, done.stdout.strip()), (0, "gzip true"))
        if shutil.which("curl"):
            curl = lambda *arguments: subprocess.run(["curl", "-sS", "--max-time", "600", *arguments], capture_output=True, timeout=600)
            done = curl("-d", '{"name":"curl"}', "-H", "Expect: 100-continue", server.url + "/api/functions/main", "--next", "-I", server.url + "/health", "--next", "--compressed", server.url + "/metrics")
            equal(done.returncode, 0)
            assert b"Hello, curl!" in done.stdout and b"HTTP/1.1 200 OK" in done.stdout and b"berth_http_requests_total" in done.stdout
            equal(curl("--http1.0", "-o", os.devnull, "-w", "%{http_code}", server.url + "/health").stdout, b"200")
        connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=600)
        for part in (b'{"name":"Ada"}', iter([b'{"name":', b'"Ada"}'])):
            connection.request("POST", "/api/functions/main", part)
            equal(json.loads(connection.getresponse().read()), {"greeting": "Hello, Ada!"})
        connection.close()
