#!/usr/bin/env python3
"""`berth serve` exporting to a collector that reads the protocol with OpenTelemetry's own message types.

    run.py BINARY OUTCOMES    run by a Python that has the package opentelemetry-proto; last line: `N passed, M failed`
"""
import contextlib
import http.server
import json
import os
import queue
import ssl
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
from berth_host import started  # noqa: E402
from certificates import certificate  # noqa: E402

from google.protobuf import json_format
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

binary, out_file = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
TYPES = {"traces": ExportTraceServiceRequest, "metrics": ExportMetricsServiceRequest, "logs": ExportLogsServiceRequest}
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"

WASM = """(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $now (param i32 i64 i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 0) "{\\22ok\\22:true}\\0a") (data (i32.const 32) "\\00\\00\\00\\00\\0c\\00\\00\\00")
  (func (export "_start")
    (drop (call $now (i32.const 0) (i64.const 0) (i32.const 64)))
    (drop (call $write (i32.const 1) (i32.const 32) (i32.const 1) (i32.const 64)))))"""
OUTER = """import json, os, sys, urllib.request
asked = json.load(sys.stdin)
context = asked['context']
sys.stderr.write('the key is ' + os.environ['API_KEY'] + '\\n')
made = urllib.request.Request(context['alyx_url'] + '/internal/v1/invoke/inner', method='POST', data=b'{}',
                              headers={'Authorization': 'Bearer ' + context['internal_token'], 'Content-Type': 'application/json'})
urllib.request.urlopen(made).read()
print(json.dumps({'success': True, 'output': {'trace': os.environ.get('TRACEPARENT', '')}}))
"""
SECRET = "k3y\"with/odd chars"


def converted(signal_name, text):
    """The message of one request. The JSON form of the protocol has hexadecimal ids where protobuf's has base64."""
    import base64

    def fix(value):
        if isinstance(value, dict):
            return {key: base64.b64encode(bytes.fromhex(each)).decode() if key in ("traceId", "spanId", "parentSpanId") else fix(each) for key, each in value.items()}
        return [fix(each) for each in value] if isinstance(value, list) else value

    return json_format.ParseDict(fix(json.loads(text)), TYPES[signal_name]())  # an unknown or wrong field fails


class Server(http.server.ThreadingHTTPServer):
    """One whose clients may turn away before they have said anything: the handshake is the handler's."""

    def handle_error(self, *_):
        pass


class Collector:
    """Takes requests and keeps their messages; `status` is what it answers. With a certificate it speaks TLS alone."""

    def __init__(self, status=200, certificate=None):
        self.arrived, self.problems = queue.Queue(), []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                text = self.rfile.read(int(self.headers["Content-Length"])).decode()
                name = self.path.removeprefix("/v1/")
                try:
                    assert self.headers["Content-Type"] == "application/json"
                    outer.arrived.put((name, converted(name, text), text))
                except Exception as problem:  # noqa: BLE001: told by the test
                    outer.problems.append(f"{self.path}: {problem!r}: {text[:300]}")
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"{'https' if certificate else 'http'}://127.0.0.1:{self.server.server_address[1]}"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate.with_suffix(".crt"), certificate.with_suffix(".key"))
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def all(self):
        found = []
        while not self.arrived.empty():
            found.append(self.arrived.get())
        return found


@contextlib.contextmanager
def serving(folder, *arguments, source="functions"):
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "LC_ALL": "C.UTF-8", "BERTH_SECRETS_DIR": str(folder / "secrets")}
    with started([binary, "serve", source, "--port", "0", *arguments], environment, folder) as process:
        yield process


def post(url, headers=None, body=b"{}"):
    request = urllib.request.Request(url, data=body, method="POST", headers={"Content-Type": "application/json"} | (headers or {}))
    try:
        with urllib.request.urlopen(request, timeout=600) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def spans_of(messages):
    return [span for name, message, _ in messages if name == "traces" for resource in message.resource_spans for scope in resource.scope_spans for span in scope.spans]


def attributes(item):
    return {each.key: each.value.string_value or each.value.int_value for each in item.attributes}


outcomes = {}


def check(name, holds, shown=""):
    outcomes[name] = bool(holds)
    if not holds:
        print(f"failed: {name}: {str(shown)[:600]}")


with tempfile.TemporaryDirectory(prefix="berth-telemetry-") as temporary:
    folder = Path(temporary)
    (folder / "functions" / "outer").mkdir(parents=True)
    (folder / "secrets").mkdir()
    (folder / "functions" / "inner.wat").write_text(WASM)
    (folder / "functions" / "outer" / "main.py").write_text(OUTER)
    (folder / "functions" / "outer" / "manifest.yaml").write_text("entrypoint: main.py\nruntime: python\nsecrets: [{name: API_KEY, env: true}]\nrequest_extras: [trace]\n")
    (folder / "secrets" / "API_KEY").write_text(SECRET)
    (folder / "berth.yaml").write_text("functions: {auth: none, secrets_allow: {outer: [API_KEY]}}\n")

    collector = Collector()
    with serving(folder, "--set", f"telemetry.otlp.endpoint={collector.url}") as host:
        status, text = post(host.url + "/api/functions/outer", {"traceparent": f"00-{TRACE}-{PARENT}-01"})
        check("a call answers", status == 200, text + "".join(host.errors))
        seen_by_process = json.loads(text).get("output", json.loads(text)).get("trace", "") if status == 200 else ""
        not_sampled = post(host.url + "/api/functions/inner", {"traceparent": f"00-{'9' * 32}-{PARENT}-00"})
        alone = post(host.url + "/api/functions/inner")
        post(host.url + "/api/functions/nobody")
    # The end of the process sends what is left.
    messages = collector.all()
    collector.close()
    check("every request is of the protocol", not collector.problems, collector.problems)
    spans = spans_of(messages)
    by_name = {}
    for span in spans:
        by_name.setdefault(span.name, []).append(span)
    traced = [span for span in spans if span.trace_id.hex() == TRACE]
    check("one trace from client over the process to the nested call", sorted(span.name for span in traced) == ["inner", "inner", "outer", "process outer"], [(span.name, span.trace_id.hex()) for span in spans])
    outer = next((span for span in traced if span.name == "outer"), None)
    inner = next((span for span in traced if span.name == "inner" and span.kind == span.SPAN_KIND_SERVER), None)
    waited = next((span for span in traced if span.name == "inner" and span.kind == span.SPAN_KIND_CLIENT), None)
    process = next((span for span in traced if span.name == "process outer"), None)
    if outer and inner and waited and process:
        check("the parent of the first span is the client's", outer.parent_span_id.hex() == PARENT, outer)
        check("the parent of the nested span is the caller's", waited.parent_span_id == outer.span_id and inner.parent_span_id == waited.span_id, inner)
        check("the process is an operation of its call", process.parent_span_id == outer.span_id and attributes(process).get("process.exit.code") == 0 and outer.start_time_unix_nano <= process.start_time_unix_nano <= process.end_time_unix_nano <= outer.end_time_unix_nano, process)
        check("the process is told its own span", seen_by_process == f"00-{TRACE}-{outer.span_id.hex()}-01", seen_by_process)
        check("a span is open from received to finished", outer.start_time_unix_nano <= inner.start_time_unix_nano <= inner.end_time_unix_nano <= outer.end_time_unix_nano)
        check("a span has the steps of the call", [event.name for event in outer.events] == ["queued", "started"], outer.events)
        told = attributes(inner)
        check("a span says what ran and what it used", told.get("faas.name") == "inner" and told.get("berth.outcome") == "ok" and told.get("berth.fuel", 0) > 0 and told.get("berth.host_calls") == 2, told)
    check("a trace that is not sampled has no span", not_sampled[0] == 200 and not any(span.trace_id.hex() == "9" * 32 for span in spans))
    roots = [span for span in by_name.get("inner", []) if not span.parent_span_id]
    check("a call without a caller's trace begins one", alone[0] == 200 and len(roots) == 1, [span.trace_id.hex() for span in spans])
    metrics = [metric for name, message, _ in messages if name == "metrics" for resource in message.resource_metrics for scope in resource.scope_metrics for metric in scope.metrics]
    calls = [point for metric in metrics if metric.name == "berth_calls_total" for point in metric.sum.data_points if attributes(point) == {"function": "inner", "engine": "wasm", "outcome": "ok"}]
    check("metrics arrive with their labels", calls and calls[-1].as_int == 3, [metric.name for metric in metrics][:20])
    durations = [metric for metric in metrics if metric.name == "berth_call_duration_seconds"]
    point = durations[-1].histogram.data_points[0] if durations else None
    check("histograms add up", point is not None and sum(point.bucket_counts) == point.count and len(point.bucket_counts) == len(point.explicit_bounds) + 1, point)
    records = [record for name, message, _ in messages if name == "logs" for resource in message.resource_logs for scope in resource.scope_logs for record in scope.log_records]
    of_process = [record for record in records if "the key is" in record.body.string_value]
    check("what a function logs arrives", len(of_process) >= 1, [record.body.string_value for record in records])
    whole = "".join(text for _, _, text in messages)
    check("no signal has the secret", SECRET not in whole and "k3y" not in whole and "[redacted:API_KEY]" in whole)

    # Every kind of function, each way to end: one span a call, with each step once and in order.
    kinds = folder / "kinds"
    fixtures = Path(__file__).resolve().parent.parent / "cli/fixtures"
    wasi = '(module (memory (export "memory") 1) (func (export "_start") {}))'
    bare = '(module (func (export "go") {}))'
    spin, trap, process = "(loop (br 0))", "(unreachable)", "import sys, time\nsys.stdin.read()\n{}\n"
    sources = {
        "wasi-ok": (".wat", wasi.format("")), "wasi-trap": (".wat", wasi.format(trap)), "wasi-timeout": (".wat", wasi.format(spin)),
        "bare-ok": (".wat", bare.format("")), "bare-trap": (".wat", bare.format(trap)), "bare-timeout": (".wat", bare.format(spin)),
        "component-ok": (".wat", (fixtures / "component.wat").read_text()), "component-timeout": (".wat", (fixtures / "spinning_component.wat").read_text()),
        "process-ok": (".py", process.format("print('{\"success\":true,\"output\":1}')")), "process-exit_nonzero": (".py", process.format("sys.exit(3)")),
        "process-timeout": (".py", process.format("time.sleep(600)")),
    }
    kinds.mkdir()
    for name, (ending, text) in sources.items():
        (kinds / (name + ending)).write_text(text)
        settings = ("entry: go\n" if name.startswith("bare") else "") + ("timeout: 1s\n" if name.endswith("timeout") else "")
        (kinds / (name + ".yaml")).write_text(settings + ("kill_grace: 0s\n" if name.startswith("process") else ""))
    collector = Collector()
    with serving(folder, "--set", f"telemetry.otlp.endpoint={collector.url}", source="kinds") as host:
        listed = "".join(host.errors)
        for name in sources:
            post(host.url + f"/api/functions/{name}", body=b"[]" if name.startswith("bare") else b"{}")
    seen = {}
    for span in spans_of(collector.all()):
        if span.name.startswith("process "):
            continue  # of the process itself
        seen.setdefault(span.name, []).append((attributes(span).get("berth.outcome"), [event.name for event in span.events]))
    collector.close()
    expected = {name: [(name.split("-", 1)[1], ["queued", "started"])] for name in sources}
    check("each kind of function has each step once and in order", seen == expected, {name: seen.get(name) for name in sources if seen.get(name) != expected[name]} | {"said": listed})

    broken = Collector(status=503)
    with serving(folder, "--set", f"telemetry.otlp.endpoint={broken.url}", "--set", "telemetry.otlp.interval=50ms") as host:
        answers = [post(host.url + "/api/functions/inner")[0] for _ in range(5)]
        while broken.arrived.empty():
            pass
    broken.close()
    check("a collector that refuses keeps no call from its answer", answers == [200] * 5, answers)

    with serving(folder, "--set", "telemetry.otlp.endpoint=http://127.0.0.1:9") as host:
        check("a collector that is not there keeps no call from its answer", post(host.url + "/api/functions/inner")[0] == 200)

    # Over TLS: nothing is told to a collector whose certificate nobody vouches for, or that is another one's.
    certificate(folder, "collector")
    certificate(folder, "elsewhere", "127.0.0.2")
    for name, trusted, arrives in (("collector", "collector", True), ("collector", "elsewhere", False), ("collector", None, False), ("elsewhere", "elsewhere", False)):
        collector = Collector(certificate=folder / name)
        trust = ("--set", f"network.ca_file={folder / trusted}.crt") if trusted else ()
        with serving(folder, "--set", f"telemetry.otlp.endpoint={collector.url}", *trust) as host:
            answered = post(host.url + "/api/functions/inner")[0]
        messages = collector.all()
        collector.close()
        told = {kind for kind, _, _ in messages}
        what = f"a collector over TLS with the certificate of {name}, trusting {trusted or 'the system alone'}"
        check(f"{what}, {'is told' if arrives else 'is told nothing'}", answered == 200 and (told >= {"traces", "metrics"} if arrives else not told) and not collector.problems, (answered, told, collector.problems, host.errors))

    with serving(folder, "--set", "telemetry.otlp.file=telemetry.jsonl", "--set", "telemetry.otlp.logs=false") as host:
        post(host.url + "/api/functions/inner")
    lines = [json.loads(line) for line in (folder / "telemetry.jsonl").read_text().splitlines()]
    kinds = {next(iter(line)) for line in lines}
    check("a file gets the same, one request a line", kinds == {"resourceSpans", "resourceMetrics"}, kinds)
    check("its lines are of the protocol", all(converted({"resourceSpans": "traces", "resourceMetrics": "metrics"}[next(iter(line))], json.dumps(line)) is not None for line in lines))

    environment = {"PATH": os.environ["PATH"], "HOME": str(folder)}
    for key, value, word in (("endpoint", "ftp://collector", "http://"), ("file", "no/such/folder/x", "cannot be written")):
        done = subprocess.run([binary, "serve", "functions", "--port", "0", "--set", f"telemetry.otlp.{key}={value}"], capture_output=True, text=True, env=environment, cwd=folder, timeout=600)
        check(f"telemetry.otlp.{key} that cannot be is refused", done.returncode == 78 and word in done.stderr, done.stderr)

out_file.parent.mkdir(parents=True, exist_ok=True)
out_file.write_text(json.dumps({name.replace(" ", "-"): held for name, held in outcomes.items()}, indent=1))
print(f"{sum(outcomes.values())} passed, {len(outcomes) - sum(outcomes.values())} failed")
sys.exit(0 if all(outcomes.values()) else 1)
