"""Cases that acceptance rows of the core name: statuses of failures, one tree of every kind, metrics against a script."""
import json
import tempfile
from pathlib import Path

from harness import ask, case, equal, post, root, serving

fail_with = "import json, sys\nrequest = json.load(sys.stdin)\njson.dump({'success': False, 'error': {'code': request['input'].get('code', 'NOT_FOUND'), 'message': 'no'}}, sys.stdout)\n"
ending = (root / "tests/cli/fixtures/kit/spin.wat").read_text()


def tree(folder, files):
    for name, text in files.items():
        file = Path(folder) / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


@case
def failures_of_functions_have_the_status_of_their_code():
    with tempfile.TemporaryDirectory(prefix="berth-rows-") as folder:
        tree(folder, {"functions/http/index.py": fail_with, "functions/okay/index.py": fail_with, "functions/okay/manifest.yaml": "error_status: ok\n",
                      "functions/late/index.py": "import sys\nsys.stdin.read()\nwhile True: pass\n", "functions/late/manifest.yaml": "error_status: ok\ntimeout: 1\n"})
        with serving("functions", "--port", "0", cwd=folder) as server:
            def ask_for(name, code):
                status, text, _ = post(f"{server.url}/api/functions/{name}", json.dumps({"code": code}))
                answer = json.loads(text)
                return status, answer["success"], answer["error"]["code"]

            equal(ask_for("http", "NOT_FOUND"), (404, False, "NOT_FOUND"))
            equal(ask_for("http", "NO_SUCH_CODE_ANYWHERE"), (500, False, "NO_SUCH_CODE_ANYWHERE"))
            equal(ask_for("okay", "NOT_FOUND"), (200, False, "NOT_FOUND"))
            equal(ask_for("late", ""), (504, False, "TIMEOUT"))


@case
def one_failure_is_the_same_in_the_envelope_and_beside_it():
    with tempfile.TemporaryDirectory(prefix="berth-rows-") as folder:
        tree(folder, {"functions/program/index.py": "import sys\nsys.stdin.read()\nwhile True: pass\n", "functions/program/manifest.yaml": "timeout: 1\n", "functions/module.wat": ending})
        with serving("functions", "--port", "0", "--timeout", "100ms", cwd=folder) as server:
            status, text, _ = post(server.url + "/api/functions/program", "{}")
            envelope = json.loads(text)["error"]
            direct_status, text, _ = post(server.url + "/api/functions/module", "")
            direct = json.loads(text)["error"]
            equal((status, envelope["code"], envelope["origin"]), (504, "TIMEOUT", "host"))
            equal((direct_status, direct["code"], direct["origin"]), (504, "timeout", "host"))
            equal(envelope["code"].lower(), direct["code"])


@case
def one_tree_of_every_kind_is_served_and_clashes_are_refused_with_both_owners():
    python = "import json, sys\nrequest = json.load(sys.stdin)\njson.dump({'success': True, 'output': 1}, sys.stdout)\n"
    node = "const text = require('fs').readFileSync(0); JSON.parse(text); process.stdout.write(JSON.stringify({success: true, output: 1}));\n"
    with tempfile.TemporaryDirectory(prefix="berth-rows-") as folder:
        tree(folder, {"functions/in-python/index.py": python, "functions/in-node/index.js": node, "functions/in-wasm.wat": (root / "examples/functions/hello-wasm/main.wat").read_text(),
                      "functions/in-shell/index.sh": "cat > /dev/null; printf '{\"success\":true,\"output\":1}'\n", "functions/twice/index.py": python, "functions/twice.wat": ending,
                      "functions/left/index.py": python, "functions/left/manifest.yaml": "routes: [{path: /same, methods: [GET]}]\n",
                      "functions/right/index.py": python, "functions/right/manifest.yaml": "routes: [{path: /same, methods: [GET]}]\n"})
        with serving("functions", "--port", "0", cwd=folder) as server:
            listed = {one["name"]: one for one in json.loads(ask("GET", server.url + "/api/functions")[1])["functions"]}
            for name in ("in-python", "in-node", "in-wasm", "in-shell"):
                equal((name, listed[name]["state"]), (name, "ready"))
                equal((name, post(f"{server.url}/api/functions/{name}", "{}")[0]), (name, 200))
            status, text, _ = post(server.url + "/api/functions/twice", "{}")
            assert status == 500 and "twice.wat" in text and "twice/index.py" in text, text
            equal(ask("GET", server.url + "/same")[0], 404)
        text = "".join(server.errors)
        assert "M014" in text and "left" in text and "right" in text, text


def samples(server):
    """Every sample of /metrics by its name and labels."""
    found = {}
    for line in ask("GET", server.url + "/metrics")[1].decode().splitlines():
        if line and not line.startswith("#"):
            name, value = line.rsplit(" ", 1)
            found[name] = float(value)
    return found


@case
def the_metrics_of_a_scripted_run_are_its_counts():
    kit = root / "tests/cli/fixtures/kit"
    with tempfile.TemporaryDirectory(prefix="berth-rows-") as folder:
        # The short time is that of the one which never ends.
        tree(folder, {"functions/ok.wat": (kit / "ok.wat").read_text(), "functions/trap.wat": (kit / "trap.wat").read_text(), "functions/spin.wat": ending, "functions/spin.yaml": "timeout: 1\n"})
        with serving("functions", str(root / "examples/functions/plain-python/index.py"), "--port", "0", cwd=folder) as server:
            for _ in range(5):
                equal(post(server.url + "/api/functions/ok", "")[0], 200)
            for _ in range(3):
                equal(post(server.url + "/api/functions/trap", "")[0], 500)
            for _ in range(2):
                equal(post(server.url + "/api/functions/spin", "")[0], 504)
            for _ in range(4):
                equal(post(server.url + "/api/functions/index", "{}")[0], 200)
            equal(post(server.url + "/api/functions/index", "{", "application/json")[0], 400)
            equal(post(server.url + "/api/functions/none", "{}")[0], 404)
            equal(ask("GET", server.url + "/nothing")[0], 404)
            found = samples(server)
            route = "/api/functions/{name}"
            expected = {
                'berth_calls_total{function="ok",engine="wasm",outcome="ok"}': 5,
                'berth_calls_total{function="trap",engine="wasm",outcome="trap"}': 3,
                'berth_calls_total{function="spin",engine="wasm",outcome="timeout"}': 2,
                'berth_calls_total{function="index",engine="subprocess",outcome="ok"}': 4,
                'berth_errors_total{code="trap"}': 3,
                'berth_errors_total{code="timeout"}': 2,
                f'berth_http_requests_total{{method="POST",route="{route}",status="200"}}': 9,
                f'berth_http_requests_total{{method="POST",route="{route}",status="500"}}': 3,
                f'berth_http_requests_total{{method="POST",route="{route}",status="504"}}': 2,
                f'berth_http_requests_total{{method="POST",route="{route}",status="400"}}': 1,
                f'berth_http_requests_total{{method="POST",route="{route}",status="404"}}': 1,
                'berth_http_requests_total{method="GET",route="_other",status="404"}': 1,
                'berth_calls_in_flight{function="ok"}': 0,
                'berth_calls_queued{function="ok"}': 0,
                'berth_call_duration_seconds_count{function="ok",engine="wasm",phase="total"}': 5,
                f'berth_http_request_duration_seconds_count{{method="POST",route="{route}",status="200"}}': 9,
                "berth_http_requests_in_flight": 1,  # the one that asks
            }
            equal({name: found.get(name) for name in expected}, expected)
            again = samples(server)
            assert all(again[name] >= value for name, value in found.items() if "_total" in name), "a counter fell"


@case
def excerpts_of_standard_error_have_no_secret():
    with tempfile.TemporaryDirectory(prefix="berth-excerpt-") as folder:
        folder = Path(folder)
        (folder / "functions/tells").mkdir(parents=True)
        (folder / "secrets").mkdir()
        (folder / "secrets/API_KEY").write_text("extremely-secret-value")
        (folder / "functions/tells/main.py").write_text("import os, sys\nsys.stdin.read()\nsys.stderr.write('the key is ' + os.environ['API_KEY'] + '\\n')\nsys.exit(3)\n")
        (folder / "functions/tells/manifest.yaml").write_text("entrypoint: main.py\nruntime: python\nsecrets: [{name: API_KEY, env: true}]\n")
        (folder / "berth.yaml").write_text("functions: {auth: none, expose_debug: true, secrets_allow: {tells: [API_KEY]}}\n")
        with serving("functions", "--port", "0", "--expose-errors", cwd=folder, env={"BERTH_SECRETS_DIR": str(folder / "secrets")}) as server:
            status, text, _ = post(server.url + "/api/functions/tells", "{}")
        shown = text + "".join(server.errors)
        equal((status, "extremely" in shown, "the key is [redacted:API_KEY]" in text), (500, False, True))
