"""Cases of the HTTP front: what a request passes before the routes, and its answer afterwards."""
import gzip
import json
import tempfile
from pathlib import Path

from harness import ask, case, equal, root, serving

hello = str(root / "examples/functions/hello-wasm/main.wat")
trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def call(server, headers=None, name="hello-wasm"):
    return ask("POST", f"{server.url}/api/functions/{name}", b'{"name":"Ada"}', {"Content-Type": "application/json"} | (headers or {}))


@case
def every_request_has_a_record_in_the_access_log():
    with tempfile.TemporaryDirectory(prefix="berth-log-") as folder:
        log = Path(folder) / "access.log"
        with serving(hello, "--port", "0", "--set", f"server.access_log=file:{log}") as server:
            name = "main"
            equal(call(server, {"X-Request-Id": "mine-1", "traceparent": trace, "Authorization": "Bearer never-written"}, name)[0], 401)
            equal(call(server, {"X-Request-Id": "mine-2", "traceparent": trace}, name)[0], 200)
            equal(ask("GET", server.url + "/nothing?token=never-written")[0], 404)
        records = [json.loads(line) for line in log.read_text().splitlines()]
        equal([record["status"] for record in records], [401, 200, 404])
        equal([record["request_id"] for record in records][:2], ["mine-1", "mine-2"])
        equal(records[1]["trace_id"], trace.split("-")[1])
        equal({record["client"] for record in records}, {"127.0.0.1"})
        assert "never-written" not in log.read_text()


@case
def without_configuration_nothing_of_all_this_is_done():
    with serving(hello, "--port", "0") as server:
        status, _, headers = call(server, {"Origin": "https://a.example", "Accept-Encoding": "gzip", "traceparent": trace}, "main")
        equal(status, 200)
        for name in ("vary", "access-control-allow-origin", "berth-fuel", "traceparent", "content-encoding"):
            assert name not in headers, (name, headers)
    assert not any('"logger":"access"' in line for line in server.errors)


@case
def usage_and_trace_are_told_when_asked_for():
    with serving(hello, "--port", "0", "--set", "telemetry.usage_headers=true", "--set", "telemetry.expose_trace=true") as server:
        _, _, headers = call(server, {"traceparent": trace}, "main")
        assert int(headers["berth-fuel"]) > 100 and int(headers["berth-memory-peak"]) >= 65536, headers
        equal(headers["traceparent"].split("-")[1], trace.split("-")[1])
        for wrong in (trace.upper(), trace[:-1], "00-" + "0" * 32 + trace[35:]):
            assert "traceparent" not in call(server, {"traceparent": wrong}, "main")[2], wrong


@case
def pages_of_configured_origins_may_read_answers():
    with serving(hello, "--port", "0", "--set", "server.cors.origins=https://a.example", "--set", "server.cors.credentials=true") as server:
        status, _, headers = ask("OPTIONS", server.url + "/api/functions/main", None, {"Origin": "https://a.example", "Access-Control-Request-Method": "POST"})
        equal((status, headers["access-control-allow-origin"], headers["access-control-allow-credentials"]), (204, "https://a.example", "true"))
        headers = call(server, {"Origin": "https://a.example"}, "main")[2]
        equal((headers["access-control-allow-origin"], headers["vary"]), ("https://a.example", "Origin"))
        headers = call(server, {"Origin": "https://b.example"}, "main")[2]
        assert "access-control-allow-origin" not in headers, headers
    with serving(hello, "--port", "0", "--set", "server.cors.origins=*", "--set", "server.cors.credentials=true") as server:
        equal(server.first_line, "")
        equal(server.wait(timeout=600), 78)


@case
def large_answers_are_compressed_for_those_who_take_it():
    with serving(hello, "--port", "0", "--set", "server.compress=true") as server:
        plain = ask("GET", server.url + "/metrics", None, {"Accept-Encoding": "identity"})
        small = ask("GET", server.url + "/metrics", None, {"Accept-Encoding": "br;q=1, gzip;q=0.5"})
        equal((plain[2].get("content-encoding"), small[2].get("content-encoding")), (None, "gzip"))
        equal((plain[2]["vary"], small[2]["vary"]), ("Accept-Encoding", "Accept-Encoding"))
        assert b"berth_http_requests_total" in gzip.decompress(small[1])
        assert len(small[1]) < len(plain[1]), (len(small[1]), len(plain[1]))
        equal(ask("GET", server.url + "/metrics", None, {"Accept-Encoding": "gzip;q=0"})[2].get("content-encoding"), None)
        equal(call(server, {"Accept-Encoding": "gzip"}, "main")[2].get("content-encoding"), None)


@case
def whoever_asks_too_often_is_told_when_to_come_back():
    with serving(hello, "--port", "0", "--set", "server.rate=2/h", "--set", "server.trusted_proxies=127.0.0.1") as server:
        statuses = [call(server, {"X-Forwarded-For": "198.51.100.1"}, "main")[0] for _ in range(3)]
        equal(statuses, [200, 200, 429])
        status, text, headers = call(server, {"X-Forwarded-For": "198.51.100.1"}, "main")
        equal((status, json.loads(text)["error"]["code"]), (429, "rate_limited"))
        assert 0 < int(headers["retry-after"]) <= 1800, headers
        equal((headers["ratelimit-limit"], headers["ratelimit-remaining"]), ("2", "0"))
        equal(call(server, {"X-Forwarded-For": "198.51.100.2"}, "main")[0], 200)
        equal(ask("GET", server.url + "/health/live", None, {"X-Forwarded-For": "198.51.100.1"})[0], 200)
        text = ask("GET", server.url + "/metrics", None, {"X-Forwarded-For": "198.51.100.9"})[1].decode()
        assert 'berth_http_rejected_total{reason="rate_limit"} 2\n' in text


@case
def what_a_client_does_not_accept_is_406_and_failures_can_be_problems():
    with serving(hello, str(root / "examples/functions/plain-python"), "--port", "0") as server:
        equal(ask("GET", server.url + "/api/functions", None, {"Accept": "text/html"})[0], 406)
        equal(ask("GET", server.url + "/health", None, {"Accept": "text/html, application/json;q=0"})[0], 406)
        equal(ask("GET", server.url + "/health", None, {"Accept": "text/html, */*;q=0.1"})[0], 200)
        status, text, headers = ask("GET", server.url + "/nothing", None, {"Accept": "application/problem+json"})
        problem = json.loads(text)
        equal((status, headers["content-type"], problem["status"], problem["code"], problem["title"]), (404, "application/problem+json", 404, "not_found", "Not Found"))
