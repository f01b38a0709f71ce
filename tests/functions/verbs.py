"""The verbs of `berth fn`, as a person uses them."""
import json
import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from support import Cases, equal, folder_of, host, root, run, until

cases = Cases()
case = cases.case


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
    files = {"broken/index.py": "print('Hello world')\n", "exits/index.py": "import sys\nprint('why', file=sys.stderr)\nsys.exit(7)\n", "refuses/index.py": "print('{\"success\":false,\"error\":{\"code\":\"CONFLICT\",\"message\":\"taken\"}}')\n",
             "missing/index.rb": ""}
    with folder_of(files) as functions:
        folder = functions.parent
        status, out, errors = run("fn", "invoke", "broken", cwd=folder)
        equal((status, out, errors), (1, "", 'error[bad_output]: stdout is not JSON: line 1 starts with "Hello wor"; print debug text to stderr\n  stdout (12 bytes): Hello world\\n\n  stderr (0 bytes)\n'))
        status, _, errors = run("fn", "invoke", "exits", cwd=folder)
        equal((status, "why" in errors), (7, True))
        equal(run("fn", "invoke", "refuses", cwd=folder)[0], 1)
        equal(run("fn", "invoke", "nothing", cwd=folder)[0] != 0, True)
        tools = folder / "bin"
        tools.mkdir()
        status, _, errors = run("fn", "invoke", "missing", cwd=folder, env={"PATH": str(tools)})
        equal(status, 69)
        equal(errors.splitlines()[0], 'error[runtime_not_found]: function "missing" needs runtime "ruby": command "ruby" not found in PATH (searched 1 directories)')
        status, out, _ = run("fn", "invoke", "broken", "--json", cwd=folder)
        equal((status, json.loads(out)["error"]["code"]), (1, "INVALID_OUTPUT"))


@case
def listing_console_and_answer_have_their_form():
    """What a developer sees, word for word but for times and ids."""
    made = {"resize/index.ts": "", "resize/manifest.yaml": "routes: [{path: '/img/{id}/resize', methods: [POST]}]\ntimeout: 2m\n",
            "made/source.sh": "cat > /dev/null; echo '{\"success\":true}'\n", "made/manifest.yaml": "runtime: sh\nentrypoint: source.sh\nbuild: {command: sh, args: [-c, cat source.sh > out.tmp; mv out.tmp out.sh], output: out.sh, use: output}\n"}
    with folder_of(made) as functions:
        folder = functions.parent
        tools = folder / "bin"
        tools.mkdir()
        for tool in ("sh", "cat", "mv"):
            (tools / tool).symlink_to(shutil.which(tool))
        python = subprocess.run(["python3", "-c", "import sys; print(sys.executable); print(sys.version.split()[0])"], capture_output=True, text=True, check=True).stdout.split()
        (tools / "python3").symlink_to(Path(python[0]).resolve())
        env = {"PATH": str(tools)}
        equal(run("fn", "new", "hello", "--runtime", "python", cwd=folder)[0], 0)
        status, out, errors = run("fn", "list", cwd=folder, env=env)
        equal(out.splitlines(), ["NAME     RUNTIME  STATE            ENTRY          TIMEOUT  TRIGGERS", "hello    python   ready            index.py       30s      -", "made     sh       build_required   source.sh      30s      -",
                                 "resize   deno     runtime_missing  index.ts       2m       POST /img/{id}/resize", "3 functions: 1 ready, 1 build required, 1 runtime missing (berth fn runtimes)"], errors)
        status, _, errors = run("fn", "invoke", "resize", cwd=folder, env=env)
        equal((status, errors.splitlines()[0]), (69, 'error[runtime_not_found]: function "resize" needs runtime "deno": command "deno" not found in PATH (searched 1 directories)'))
        install = [line[12:] for line in errors.splitlines()[1:] if line.startswith("  install:  ") or line.startswith("            ")]
        equal([line for line in install if not line.startswith("apk ")], ["npm install -g deno        (any system with npm)"], errors)
        with host(functions, verb=("fn", "dev"), env=env, folder=folder) as server:
            status, text, _ = server.request("POST", "/api/functions/hello", '{"name":"World"}', {"content-type": "application/json"})
            answer = re.sub(r'"timestamp":"[^"]+"', '"timestamp":"T"', re.sub(r'"duration_ms":\d+', '"duration_ms":N', masked(text.decode())))
            equal(answer, '{"request_id":"ID","success":true,"output":{"message":"Hello, World!","runtime":"python"},"logs":[{"level":"info","message":"greeting","data":{"name":"World"},"timestamp":"T"}],"duration_ms":N}')
            entry = functions / "hello/index.py"
            entry.write_text(entry.read_text() + "# changed\n")
            until(lambda: any("  changed   hello    index.py" in line for line in server.out))
            (functions / "made/source.sh").write_text((functions / "made/source.sh").read_text() + "# changed\n")
            until(lambda: any("  built     made" in line for line in server.out))
            (functions / "hello/manifest.yaml").write_text("timeout: 61x\n")
            until(lambda: any("  invalid   hello" in line for line in server.out))
            equal(sum("  changed   made" in line for line in server.out), 1, "the output of a build is no further change")
            seen = [re.sub(r"\d+ ms", "N ms", re.sub(r"^\d\d:\d\d:\d\d", "TIME", masked(line.rstrip()))) for line in server.out]
        for expected in (f"functions  {functions}: 3 (2 ready, 1 runtime missing)", f"runtimes   python {python[1]}, sh | missing: deno", "TIME  call      hello    200  N ms  ID", "TIME  changed   hello    index.py",
                         "TIME  build     made     sh -c cat source.sh > out.tmp; mv out.tmp out.sh", "TIME  built     made     N ms"):
            assert expected in seen, (expected, seen)
        assert any(re.fullmatch(r"tree kill  (cgroup|group)    memory  (cgroup|sampler)    sandbox  not offered by this build", line) for line in seen), seen
        assert any(line.startswith("TIME  invalid   hello    manifest.yaml:1:10: timeout: ") and line.endswith("[M012]") for line in seen), seen


@case
def check_names_every_problem_with_its_place():
    manifest = 'tiemout: 3\nmemory: 1mb\nroutes: [{path: hello, methods: []}]\nenv: {ALYX_X: a}\nauth: {mode: maybe}\nschedules: [{name: x}]\n'
    with folder_of({"bad/index.py": "", "bad/manifest.yaml": manifest}) as functions:
        status, out, _ = run("fn", "check", cwd=functions.parent)
        equal(status, 78)
        equal(out.splitlines(), ["functions/bad/manifest.yaml:1:1: tiemout: unknown field; did you mean timeout? [M003]", "functions/bad/manifest.yaml:2:9: memory: 1mb is not between 16mb and 1tb [M013]",
                                 'functions/bad/manifest.yaml:3:17: routes[0].path: must start with "/" [M014]', "functions/bad/manifest.yaml:3:33: routes[0].methods: is a list with at least one method [M014]",
                                 "functions/bad/manifest.yaml:4:7: env.ALYX_X: names beginning ALYX_ are Berth's own [M016]", "functions/bad/manifest.yaml:5:14: auth.mode: is one of none, optional, required [M027]",
                                 "functions/bad/manifest.yaml:6:12: schedules: this build has no schedules; leave the field out [M031]"])


@case
def logs_reload_and_calls_reach_a_running_host():
    talks = "import sys\nprint('[WARN] something', file=sys.stderr)\nprint('Traceback (most recent call last):', file=sys.stderr)\nprint('  File \"x\", line 1', file=sys.stderr)\nprint('{\"success\":true,\"output\":{\"n\":1.10}}')\n"
    with folder_of({"talks/index.py": talks}) as functions:
        folder = functions.parent
        with host(functions, verb=("fn", "dev")) as server:
            status, out, errors = run("fn", "invoke", "talks", "--url", server.url, cwd=folder)
            equal((status, out), (0, '{"n":1.10}\n'), errors)
            status, out, errors = until(lambda: (lambda found: found if "something" in found[1] else None)(run("fn", "logs", "talks", "--url", server.url, cwd=folder)))
            assert re.search(r"stderr +warn  something", out), out
            equal(json.loads(run("fn", "reload", "--url", server.url, cwd=folder)[1])["success"], True)
            equal(run("fn", "logs", "talks", "--url", "http://127.0.0.1:1", cwd=folder)[0], 69)


@case
def runtimes_doctor_sdk_and_explain():
    with tempfile.TemporaryDirectory(prefix="berth-tools-") as folder:
        shutil.copytree(root / "examples/functions/plain-python", Path(folder) / "functions/plain-python")
        def versions():  # a runtime that needs longer than its five seconds to say its version has none that time
            status, out, _ = run("fn", "runtimes", cwd=folder)
            equal(status, 0)
            return all(re.search(rf"^{name} +\d+\.\d+", out, re.M) for name in ("deno", "node", "bun", "python", "go", "ruby", "rust"))
        until(versions)
        tools = Path(folder) / "bin"
        tools.mkdir()
        (tools / "python3").write_text(f"#!/bin/sh\nexec {shutil.which('python3')} \"$@\"\n")
        (tools / "python3").chmod(0o755)
        for form in ((), ("--json",)):
            status, out, _ = run("fn", "doctor", *form, cwd=folder, env={"PATH": f"{tools}:{os.environ['PATH']}"})
            equal(status, 0)
            rows = [re.split("  +", line, maxsplit=1) if not form else [json.loads(line)["name"], json.loads(line)["found"]] for line in out.splitlines()]
            found = {row[0]: row[1] for row in rows if row[1].startswith("python: ") or row[0] != "shim"}
            assert re.match(r"\d+\.\d+.*, openat2, pidfd, clone3, close_range, memfd, membarrier, SCHED_IDLE$", found["kernel"]), out
            assert re.match("(cgroup|group) ", found["tree kill"]) and re.match("(cgroup|sampler)", found["memory"]) and "open files" in found["limits"], out
            assert re.match(r"python: a script, not the interpreter: \d+ ms to say its version", found["shim"]), out
        status, out, _ = run("fn", "list", "--explain", "plain-python", cwd=folder)
        assert "rule 4" in out and "rule 6: .py is taken by python" in out, out
        status, out, _ = run("fn", "sdk", "--lang", "ruby", "--out", "lib", cwd=folder)
        equal((status, out), (0, "created lib/berth_fn.rb\n"))
        for words in (("bundle",), ("bundle", "--out", "x"), ("runtimes", "install", "deno@2"), ("new", "x", "--template", "schedule")):
            status, _, errors = run("fn", *words, cwd=folder)
            equal((status, "error[not_implemented]" in errors), (69, True), words)
        status, _, errors = run("fn", "new", "x", "--template", "hallo", cwd=folder)
        equal((status, 'there is no template "hallo"' in errors), (2, True))
        equal(run("fn", "new", "x", "--runtime", "sh", "--plain", "--dir", "other", cwd=folder)[1].splitlines()[-1], "try: berth fn invoke x --dir other -d '{\"name\":\"Ada\"}'")


@case
def names_that_are_claimed_twice_are_listed_and_explained_twice():
    with folder_of({"hello/index.py": "", "hello.py": "", "other.py": ""}) as functions:
        _, out, _ = run("fn", "list", cwd=functions.parent)
        equal([line.split()[:4] for line in out.splitlines()[1:-1]], [["hello", "python", "invalid", "index.py"], ["hello", "python", "invalid", "hello.py"], ["other", "python", "ready", "other.py"]])
        _, out, _ = run("fn", "list", "--explain", "hello", cwd=functions.parent)
        equal(out.count("[M006]"), 2, out)
        equal(out.count("rules 1 to 3: no manifest names a runtime or an entry"), 1, out)
        status, out, _ = run("fn", "check", "--json", cwd=functions.parent)
        *problems, count = map(json.loads, out.splitlines())
        equal((status, [(row["function"], row["number"], row["warning"]) for row in problems]), (78, [("hello", "M006", False)] * 2))
        equal((count["$type"], count["invalid"], count["warnings"]), ("berth.functions_checked", 2, 0))


@case
def the_console_names_places_below_the_function():
    with folder_of({"hello/index.py": ""}) as functions, host(None, verb=("fn", "dev"), folder=functions.parent) as server:
        server.request("POST", "/api/functions/reload", "{}", {"Content-Type": "application/json"})
        (functions / "hello/manifest.yaml").write_text("timeout: 61x\n")
        line = until(lambda: next((line for line in server.out if "  invalid   hello" in line), None))
        equal(line[10:].rstrip(), 'invalid   hello    manifest.yaml:1:10: timeout: "61x" is no duration; write 30s or 1m30s [M012]')
