"""Keys of the host's configuration that decide how functions are run and shown."""
import hashlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import threading
from pathlib import Path

import support
from faults import probes
from support import Cases, equal, folder_of, host, project_of, run, until

cases = Cases()
case = cases.case
nested = """import json, sys, urllib.request, urllib.error
context = json.load(sys.stdin)['context']
made = urllib.request.Request(context['alyx_url'] + '/internal/v1/%s', method='%s', data=%s, headers={'Authorization': 'Bearer ' + context['internal_token']})
try:
    with urllib.request.urlopen(made) as answer:
        inner = json.loads(answer.read())
except urllib.error.HTTPError as error:
    inner = json.loads(error.read())
print(json.dumps({'success': True, 'output': [context['alyx_url'], inner]}))
"""
administrator = {"Authorization": "Bearer admin"}
admin_token = hashlib.sha256(b"admin").hexdigest()


@case
def what_a_failed_program_wrote_is_in_its_record_and_shown_to_the_administrator():
    with probes({"probe": ""}, f"functions: {{admin_token: {admin_token}}}\n") as server:
        for value, code in (({"do": "garbage"}, "INVALID_OUTPUT"), ({"do": "exit", "n": 3}, "EXIT_NONZERO")):
            _, found = server.call("probe", value)
            equal(found["error"]["code"], code)
            assert "excerpt" not in json.dumps(found), found
            record = server.get("/api/executions?function_id=probe&limit=1", administrator)[1]["executions"][0]
            equal(set(record["error"]["details"]) & {"stdout_excerpt", "stderr_excerpt", "stdout_bytes", "stderr_bytes"}, {"stdout_excerpt", "stderr_excerpt", "stdout_bytes", "stderr_bytes"}, record)
            _, found = server.call("probe", value, administrator)
            equal(found["error"]["details"]["stdout_excerpt"], record["error"]["details"]["stdout_excerpt"])


@case
def records_keep_all_that_failed_programs_wrote_when_asked():
    long = "import sys\nsys.stdin.read()\nprint('a' * 5000 + 'middle' + 'z' * 5000)\n"
    for capture, seen in (("excerpts", False), ("full", True)):
        with folder_of({"long/index.py": long}) as folder, host(folder, project=f"functions: {{admin_token: {admin_token}, capture: {capture}}}\n") as server:
            server.call("long")
            record = server.get("/api/executions", administrator)[1]["executions"][0]
            equal("middle" in record["error"]["details"]["stdout_excerpt"], seen)
            equal(record["error"]["details"]["stdout_bytes"], 10007)


@case
def calls_of_functions_have_places_of_their_own():
    files = {"outer/index.py": nested % ("invoke/inner", "POST", "b'{}'"), "inner/index.py": "import sys\nsys.stdin.read()\nprint('{\"success\":true,\"output\":\"in\"}')\n"}
    for slots, expected in (("0", "QUEUE_FULL"), ("1", "in")):
        with folder_of(files) as folder, host(folder, project=f'functions: {{max_concurrency: 1, nested_slots: "{slots}"}}\n') as server:
            inner = server.call("outer")[1]["output"][1]
            equal(inner["output"] if inner["success"] else inner["error"]["code"], expected)
            if slots == "0":
                equal(server.call("inner")[1]["output"], "in")


@case
def the_internal_api_may_have_a_listener_of_its_own():
    files = {"who/index.py": nested % ("whoami", "GET", "None")}
    with folder_of(files) as folder:
        with host(folder) as server:
            url, who = server.call("who")[1]["output"]
            equal((url, who["function"]), (server.url, "who"))
        with host(folder, project='functions: {internal_bind: "127.0.0.1:0"}\n') as server:
            url, who = server.call("who")[1]["output"]
            equal(who["function"], "who")
            assert url != server.url, url
            equal(server.request("GET", "/internal/v1/whoami")[0], 404)
        for nowhere in ("nowhere", "nowhere:80", "::1:80", "127.0.0.1:65536"):
            status, _, errors = run("serve", str(folder), "--port", "0", cwd=folder.parent, env={"BERTH_FUNCTIONS_INTERNAL_BIND": nowhere})
            equal(status, 78)
            assert f'BERTH_FUNCTIONS_INTERNAL_BIND: functions.internal_bind is "{nowhere}"' in errors, errors


@case
def a_version_managers_script_is_asked_once_and_where_a_version_is_chosen():
    files = {f"functions/{name}/index.py": "import sys\nsys.stdin.read()\nprint('{\"success\":true,\"output\":\"ok\"}')\n" for name in ("one", "two", "own")}
    shim = f"#!/bin/sh\npwd >> $(dirname $0)/../asked\nexec {run_real_python()} \"$@\"\n"
    with project_of(files | {"functions/own/.python-version": "3\n", "tools/python3": shim}) as project:
        tools, functions, asked = project / "tools", project / "functions", project / "asked"
        for resolve, times in (("true", [str(functions / "own"), "/"]), ("false", None)):
            asked.write_text("")
            with host(functions, env={"PATH": f"{tools}:/usr/bin:/bin"}, project=f"functions: {{resolve_shims: {resolve}}}\n") as server:
                for _ in range(2):
                    for name in ("one", "two", "own"):
                        equal(server.call(name)[1]["output"], "ok")
            folders = asked.read_text().split()
            if times is not None:
                equal(sorted(folders), sorted(times))
            else:
                equal(len(folders), 6)


def run_real_python():
    return subprocess.run([shutil.which("python3"), "-c", "import sys; print(sys.executable)"], capture_output=True, text=True, check=True).stdout.strip()


@case
def programs_have_a_time_of_their_own_at_the_end():
    wait = "import os, sys, time\nopen(os.environ['MARK'] + '-started', 'w').close()\ntime.sleep(1000)\n"
    with tempfile.TemporaryDirectory(prefix="berth-mark-") as marks:
        files = {"waits/index.py": wait, "waits/manifest.yaml": f"env: {{MARK: {marks}/m}}\ntimeout: 10m\nkill_grace: 0s\n"}
        with folder_of(files) as folder, host(folder, project="server: {grace: 10m}\nfunctions: {shutdown_grace: 0s}\n") as server:
            answers = []
            thread = threading.Thread(target=lambda: answers.append(server.call("waits")))
            thread.start()
            until(lambda: Path(marks, "m-started").exists())
            server.process.send_signal(signal.SIGTERM)
            thread.join()
            equal((answers[0][0], answers[0][1]["error"]["code"]), (503, "SHUTTING_DOWN"))
            equal(server.process.wait(timeout=600), 0)


@case
def keys_of_parts_that_this_build_lacks_are_refused_by_name():
    with folder_of({"hello/index.py": "pass\n"}) as folder:
        for key, value in (("SANDBOX_MINIMUM", "strict"), ("RUNTIME_INSTALL", "true")):
            status, _, errors = run("serve", str(folder), "--port", "0", cwd=folder.parent, env={f"BERTH_FUNCTIONS_{key}": value})
            assert status != 0 and f"functions.{key.lower()}" in errors and "not_implemented" in errors, (status, errors)


@case
def variables_and_runtimes_of_the_configuration_are_checked():
    wrong = {"env: {ALYX_X: y}": "2:9: functions.env.ALYX_X: names beginning ALYX_ are Berth's own", "env: {A-B: y}": "2:9: functions.env.A-B: is no name of a variable", "env: {A: true}": "2:12: functions.env.A is a string",
             'env_allow: ["A*B"]': '2:15: functions.env_allow: "A*B" is no name', "env_pass: [A, 1x]": '2:17: functions.env_pass: "1x" is no name', "timeout: 20m": "functions.timeout is 20m; it is 100ms to functions.max_timeout (15m)",
             "runtimes: {zig: {command: zig, extensions: [.zig], env: {A: true}}}": '2:63: runtime "zig": env.A is a string', "runtimes: {python: {env_pass: [\"1 x\"]}}": '2:34: runtime "python": env_pass: "1 x" is no name',
             "runtimes: {python: {version: {min: new}}}": '2:38: runtime "python": version.min: "new" is no version', "runtimes: {rust: {prepare: {comand: x}}}": 'unknown field "prepare.comand"; did you mean command?'}
    with folder_of({"hello/index.py": "pass\n"}) as folder:
        for line, expected in wrong.items():
            (folder.parent / "berth.yaml").write_text(f"functions:\n  {line}\n")
            status, _, errors = run("fn", "list", cwd=folder.parent)
            equal((status, expected in errors), (78, True), f"{line}: {errors}")
        (folder.parent / "berth.yaml").write_text("functions: {runtimes: {python: {command: ./tools/snake}}}\n")
        status, _, errors = run("fn", "invoke", "hello", cwd=folder.parent)
        equal((status, errors.splitlines()[0]), (69, f'error[runtime_not_found]: function "hello" needs runtime "python": command "{folder.parent}/tools/snake" is no executable file'))


@case
def builds_have_the_environment_of_calls_without_the_request():
    manifest = "runtime: sh\nentrypoint: build.sh\nenv: {OWN: own}\nenv_pass: [BERTH_FN_PASSED]\nsecrets: [KEY]\nbuild: {command: sh, args: [build.sh], output: dist/run, env: {STEP: step}}\n"
    with folder_of({"made/build.sh": "mkdir -p dist\nenv > dist/run\n", "made/manifest.yaml": manifest}) as folder:
        env = {"BERTH_FN_PASSED": "passed", "SSL_CERT_FILE": "/certificates", "LC_CTYPE": "C", "OTHER": "other", "BERTH_SECRET_KEY": "hidden", "BERTH_FUNCTIONS_ENV_ALL": "all"}
        equal(run("fn", "build", "made", cwd=folder.parent, env=env)[0], 0)
        seen = dict(line.split("=", 1) for line in (folder / "made/dist/run").read_text().splitlines())
        expected = {"OWN": "own", "BERTH_FN_PASSED": "passed", "STEP": "step", "SSL_CERT_FILE": "/certificates", "LC_CTYPE": "C", "ALL": "all", "NO_COLOR": "1", "HOME": str(folder.parent), "ALYX_FUNCTION_NAME": "made",
                    "ALYX_RUNTIME": "sh", "ALYX_ENTRYPOINT": "build.sh", "ALYX_FUNCTION_DIR": str(folder / "made"), "ALYX_DEV": "0"}
        equal({name: seen.get(name) for name in expected}, expected)
        equal([name for name in seen if name in ("OTHER", "KEY", "BERTH_SECRET_KEY", "ALYX_TRIGGER", "ALYX_TIMEOUT_MS", "ALYX_DEADLINE_MS", "ALYX_URL", "TRACEPARENT")], [])


@case
def elements_of_path_that_depend_on_the_folder_are_named():
    with folder_of({"hello/index.py": "import sys\nsys.stdin.read()\nprint('{\"success\":true,\"output\":1}')\n"}) as folder:
        real = run_real_python()
        with host(folder, env={"PATH": f":tools:{Path(real).parent}:/usr/bin:/bin"}) as server:
            equal(server.call("hello")[1]["output"], 1)
            until(lambda: any("[W110]" in line and "an empty element" in line and '"tools"' in line for line in server.errors))
            equal(sum("[W110]" in line for line in server.errors), 1)


@case
def runtimes_that_come_and_go_are_told():
    with folder_of({"hi/index.rb": "puts 1\n"}) as folder:
        tools = folder.parent / "tools"
        tools.mkdir()
        with host(folder, verb=("fn", "dev"), env={"PATH": str(tools)}) as server:
            equal(server.get("/api/functions/hi")[1]["state"], "runtime_missing")
            (tools / "ruby").write_text("#!/bin/sh\ncase $1 in --version) echo 'ruby 3.1.2';; *) /bin/cat >/dev/null; echo '{\"success\":true,\"output\":1}';; esac\n")
            (tools / "ruby").chmod(0o755)
            until(lambda: server.call("hi")[1].get("output") == 1)  # at most a second later
            (folder / "hi/index.rb").write_text("puts 2\n")
            until(lambda: any(line.split()[1:] == ["found", "ruby"] for line in server.out))
            (tools / "ruby").unlink()
            (folder / "hi/index.rb").write_text("puts 3\n")
            until(lambda: any(line.split()[1:] == ["missing", "ruby"] for line in server.out))
            equal(server.get("/api/functions/hi")[1]["state"], "runtime_missing")


@case
def an_interrupt_ends_a_call_and_a_build_with_all_they_started():
    for name, verb, manifest in (("waits", "invoke", "timeout: 10m\n"), ("built", "build", "build: {command: sh, args: [wait.sh], output: out}\n")):
        wait = "sleep 1000 &\necho $! > $HOME/started.part\nmv $HOME/started.part $HOME/started\nwait\n"
        with folder_of({f"{name}/wait.sh": wait, f"{name}/manifest.yaml": f"runtime: sh\nentrypoint: wait.sh\n{manifest}"}) as folder:
            project = folder.parent
            started = project / "started"
            environment = {"PATH": os.environ["PATH"], "HOME": str(project), "XDG_STATE_HOME": f"{project}/state"}
            process = subprocess.Popen([support.binary, "fn", verb, name], cwd=project, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            until(started.exists)
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=600)
            equal(process.returncode, 130, errors)
            until(lambda: not Path(f"/proc/{started.read_text().strip()}").exists())


@case
def more_variables_than_a_process_may_have_make_a_function_invalid():
    names = [f"LARGE{i}" for i in range(9)]
    files = {"large/index.py": "pass\n", "large/manifest.yaml": f"env_pass: [{', '.join(names)}]\n", "small/index.py": "import sys\nsys.stdin.read()\nprint('{\"success\":true,\"output\":1}')\n"}
    with folder_of(files) as folder, host(folder, env={name: "x" * 120_000 for name in names}, project=f"functions: {{env_allow: [{', '.join(names)}]}}\n") as server:
        status, found = server.call("large")
        equal((status, found["error"]["code"]), (500, "FUNCTION_INVALID"))
        assert "the environment of function \"large\" is 1080" in found["error"]["message"], found
        equal(server.call("small")[0], 200)


@case
def as_many_calls_run_at_once_as_there_are_descriptors_for():
    files = {"hello/index.py": "import sys\nsys.stdin.read()\nprint('{\"success\":true,\"output\":1}')\n"}

    def under(limit, **options):
        return host(folder, wrapper=("sh", "-c", f'ulimit {limit}; exec "$0" "$@"'), **options)

    with folder_of(files) as folder:
        with under("-n 164", project="functions: {max_concurrency: 32}\n") as server:
            equal(server.call("hello")[0], 200)
        assert any("functions.max_concurrency is 10 instead of 32" in line for line in server.errors), server.errors
        with under("-n 164", project="functions: {max_concurrency: 10}\n") as server:
            equal(server.call("hello")[0], 200)
        assert not any("max_concurrency" in line for line in server.errors), server.errors
        with under("-Sn 100", verb=("fn", "dev")) as server:  # what it may have if it asks
            limits = Path(f"/proc/{server.process.pid}/limits").read_text()
            soft, hard = next(line.split()[3:5] for line in limits.splitlines() if line.startswith("Max open files"))
            equal(soft, hard)
            equal(server.call("hello")[0], 200)
            equal(server.call("hello")[0], 200)
            stats = server.get("/api/functions/stats")[1]
            one, = stats["functions"]
            runtime, = stats["runtimes"]
            for row, name in ((one, "hello"), (runtime, "python")):
                equal((row["name"], row["in_flight"], row["queued"], row["stuck"], row["totals"]["success"]), (name, 0, 0, 0, 2))
                assert row["p50_ms"] <= row["p99_ms"], row
