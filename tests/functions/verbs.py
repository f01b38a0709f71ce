"""The verbs of `berth fn`, as a person uses them."""
import json
import re
import shutil
import tempfile
from pathlib import Path

from support import equal, host, root, run

cases = {}


def case(function):
    cases[function.__name__.replace("_", "-")] = function
    return function


def masked(text):
    text = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "ID", text)
    return re.sub(r"\d+ ms \(queue \d+, spawn \d+, run \d+\)", "T", text)


@case
def a_new_function_is_made_and_called():
    with tempfile.TemporaryDirectory(prefix="berth-new-") as folder:
        status, out, errors = run("fn", "new", "hello", "--runtime", "python", cwd=folder)
        equal((status, out.splitlines()), (0, ["created functions/hello/index.py", "created functions/hello/berth_fn.py", "created functions/hello/manifest.yaml", "try: berth fn invoke hello -d '{\"name\":\"Ada\"}'"]), errors)
        status, out, errors = run("fn", "invoke", "hello", "-d", '{"name":"Ada"}', cwd=folder)
        equal((status, out, masked(errors)), (0, '{"message":"Hello, Ada!","runtime":"python"}\n', "info  greeting name=Ada\nok  hello  T  request ID\n"))
        status, out, _ = run("fn", "list", cwd=folder)
        equal(out.splitlines(), ["NAME     RUNTIME  STATE            ENTRY          TIMEOUT  TRIGGERS", "hello    python   ready            index.py       30s      -", "1 function: 1 ready"])
        status, _, errors = run("fn", "new", "hello", "--runtime", "node", cwd=folder)
        assert status != 0 and "exists already" in errors, errors
        equal(run("fn", "check", cwd=folder)[0], 0)


@case
def templates_work_in_every_language():
    with tempfile.TemporaryDirectory(prefix="berth-new-") as folder:
        for runtime in ("node", "deno", "bun", "python", "ruby", "go", "rust"):
            equal(run("fn", "new", f"t-{runtime}", "--runtime", runtime, cwd=folder)[0], 0, runtime)
        for runtime in ("node", "deno", "bun", "python", "ruby", "go", "sh"):
            equal(run("fn", "new", f"p-{runtime}", "--runtime", runtime, "--plain", cwd=folder)[0], 0, runtime)
        equal(run("fn", "new", "c", "--template", "c", cwd=folder)[0], 0)
        equal(run("fn", "new", "ts", "--template", "typescript", cwd=folder)[0], 0)
        equal(run("fn", "new", "up", "--template", "upload", cwd=folder)[0], 0)
        equal(run("fn", "new", "single", "--runtime", "python", "--plain", "--single-file", cwd=folder)[0], 0)
        status, _, errors = run("fn", "new", "hook", "--template", "webhook", "--runtime", "node", cwd=folder)
        equal((status, "not_implemented" in errors), (69, True))
        from support import binary
        with host(Path(folder) / "functions", verb=("fn", "dev")) as server:
            for runtime in ("node", "deno", "bun", "python", "ruby", "go", "rust"):
                status, answer = server.call(f"t-{runtime}", {"name": "Ada"})
                equal((status, answer.get("output", answer)), (200, {"message": "Hello, Ada!", "runtime": runtime}))
            for runtime in ("node", "deno", "bun", "python", "ruby", "go"):
                equal(server.call(f"p-{runtime}", {"name": "Ada"})[1].get("output"), {"message": "Hello, Ada!"}, runtime)
            for name in ("c", "ts", "single"):
                equal(server.call(name, {"name": "Ada"})[1]["output"]["message"], "Hello, Ada!", name)


@case
def failures_have_their_form_and_status():
    with tempfile.TemporaryDirectory(prefix="berth-verbs-") as folder:
        files = {"broken/index.py": "print('Hello world')\n", "exits/index.py": "import sys\nprint('why', file=sys.stderr)\nsys.exit(7)\n", "refuses/index.py": "print('{\"success\":false,\"error\":{\"code\":\"CONFLICT\",\"message\":\"taken\"}}')\n",
                 "missing/index.rb": ""}
        for name, text in files.items():
            path = Path(folder) / "functions" / name
            path.parent.mkdir(parents=True)
            path.write_text(text)
        status, out, errors = run("fn", "invoke", "broken", cwd=folder)
        equal((status, out, errors), (1, "", 'error[bad_output]: stdout is not JSON: line 1 starts with "Hello wor"; print debug text to stderr\n  stdout (12 bytes): Hello world\\n\n  stderr (0 bytes)\n'))
        status, _, errors = run("fn", "invoke", "exits", cwd=folder)
        equal((status, "why" in errors), (7, True))
        equal(run("fn", "invoke", "refuses", cwd=folder)[0], 1)
        equal(run("fn", "invoke", "nothing", cwd=folder)[0] != 0, True)
        tools = Path(folder) / "bin"
        tools.mkdir()
        status, _, errors = run("fn", "invoke", "missing", cwd=folder, env={"PATH": str(tools)})
        equal(status, 69)
        equal(errors.splitlines()[0], 'error[runtime_not_found]: function "missing" needs runtime "ruby": command "ruby" not found in PATH (searched 1 directories)')
        status, out, _ = run("fn", "invoke", "broken", "--json", cwd=folder)
        equal((status, json.loads(out)["error"]["code"]), (1, "INVALID_OUTPUT"))


@case
def check_names_every_problem_with_its_place():
    with tempfile.TemporaryDirectory(prefix="berth-check-") as folder:
        path = Path(folder) / "functions/bad"
        path.mkdir(parents=True)
        (path / "index.py").write_text("")
        (path / "manifest.yaml").write_text('tiemout: 3\nmemory: 1mb\nroutes: [{path: hello, methods: []}]\nenv: {ALYX_X: a}\nauth: {mode: maybe}\nschedules: [{name: x}]\n')
        status, out, _ = run("fn", "check", cwd=folder)
        equal(status, 78)
        equal(out.splitlines(), ["functions/bad/manifest.yaml:1:1: tiemout: unknown field; did you mean timeout? [M003]", "functions/bad/manifest.yaml:2:9: memory: 1mb is not between 16mb and 1tb [M013]",
                                 'functions/bad/manifest.yaml:3:17: routes[0].path: must start with "/" [M014]', "functions/bad/manifest.yaml:3:33: routes[0].methods: is a list with at least one method [M014]",
                                 "functions/bad/manifest.yaml:4:7: env.ALYX_X: names beginning ALYX_ are Berth's own [M016]", "functions/bad/manifest.yaml:5:14: auth.mode: is one of none, optional, required [M027]",
                                 "functions/bad/manifest.yaml:6:12: schedules: this build has no schedules; leave the field out [M031]"])


@case
def logs_reload_and_calls_reach_a_running_host():
    with tempfile.TemporaryDirectory(prefix="berth-host-") as folder:
        path = Path(folder) / "functions/talks"
        path.mkdir(parents=True)
        (path / "index.py").write_text("import sys\nprint('[WARN] something', file=sys.stderr)\nprint('Traceback (most recent call last):', file=sys.stderr)\nprint('  File \"x\", line 1', file=sys.stderr)\nprint('{\"success\":true,\"output\":{\"n\":1.10}}')\n")
        with host(Path(folder) / "functions", verb=("fn", "dev")) as server:
            status, out, errors = run("fn", "invoke", "talks", "--url", server.url, cwd=folder)
            equal((status, out), (0, '{"n":1.10}\n'), errors)
            from support import until
            status, out, errors = until(lambda: (lambda found: found if "something" in found[1] else None)(run("fn", "logs", "talks", "--url", server.url, cwd=folder)))
            assert re.search(r"stderr +warn  something", out), out
            equal(json.loads(run("fn", "reload", "--url", server.url, cwd=folder)[1])["success"], True)
            equal(run("fn", "logs", "talks", "--url", "http://127.0.0.1:1", cwd=folder)[0], 69)


@case
def runtimes_doctor_sdk_and_explain():
    with tempfile.TemporaryDirectory(prefix="berth-tools-") as folder:
        shutil.copytree(root / "examples/functions/plain-python", Path(folder) / "functions/plain-python")
        status, out, _ = run("fn", "runtimes", cwd=folder)
        equal(status, 0)
        for name in ("deno", "node", "bun", "python", "go", "ruby", "rust"):
            assert re.search(rf"^{name} +\d+\.\d+", out, re.M), (name, out)
        status, out, _ = run("fn", "doctor", cwd=folder)
        assert status == 0 and re.search(r"^tree kill +(cgroup|group)", out, re.M) and re.search(r"^memory +(cgroup|sampler)", out, re.M), out
        status, out, _ = run("fn", "list", "--explain", "plain-python", cwd=folder)
        assert "rule 4" in out and "rule 6: .py is taken by python" in out, out
        status, out, _ = run("fn", "sdk", "--lang", "ruby", "--out", "lib", cwd=folder)
        equal((status, out), (0, "created lib/berth_fn.rb\n"))
        equal(run("fn", "bundle", cwd=folder)[0], 69)
