"""The fault program under every launch path and tree level: what ends how, and that nothing is left."""
import contextlib
import hashlib
import json
import os
import pwd
import resource
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import support
from support import Cases, alive, children_of, equal, host, make_probe, refusing, root, until

cases = Cases()
case = cases.case
levels = [("clone3", "cgroup"), ("clone3", "group"), ("helper", "cgroup"), ("helper", "group")]
has_cgroup = os.access("/sys/fs/cgroup/unified/cgroup.procs", os.W_OK) or os.access("/sys/fs/cgroup/cgroup.procs", os.W_OK)


def each_level(function):
    """One case for each launch path and tree level that this machine has."""
    for path, level in levels:
        if level == "cgroup" and not has_cgroup:
            continue
        cases[f"{function.__name__.replace('_', '-')}[{path}-{level}]"] = lambda path=path, level=level: function(f"functions: {{launch: {path}, tree: {level}}}\n", level)
    return function


@contextlib.contextmanager
def probes(manifests, project="", **options):
    """A host with the fault program under several names, each with its manifest."""
    with tempfile.TemporaryDirectory(prefix="berth-probe-") as temporary:
        folder = Path(temporary) / "functions"
        program = make_probe(folder)
        for name, manifest in manifests.items():
            if name != "probe":
                shutil.copytree(program, folder / name)
            (folder / name / "manifest.yaml").write_text(manifest)
        with host(folder, project=project, **options) as server:
            server.folder = folder
            yield server


def outcome(server, name="probe", **value):
    status, answer = server.call(name, value)
    return status, answer["error"]["code"] if not answer["success"] else "ok", answer


@each_level
def sixteen_cells_of_the_outcome_table(project, level):
    the_table(project)


def the_table(project, **options):
    with probes({"probe": "", "slow": "timeout: 300ms\nkill_grace: 0s\n", "small": "limits: {output: 64kb}\n"}, project, **options) as server:
        table = [({"do": "answer"}, 200, "ok"), ({"do": "exit-after-answer", "n": 3}, 500, "EXIT_NONZERO"), ({"do": "signal-after-answer", "n": 11}, 500, "SIGNALED"),
                 ({"do": "error"}, 409, "CONFLICT"), ({"do": "exit-after-error", "n": 4}, 409, "CONFLICT"), ({"do": "signal", "n": 6}, 500, "SIGNALED"),
                 ({"do": "empty"}, 500, "INVALID_OUTPUT"), ({"do": "exit-quiet", "n": 2}, 500, "EXIT_NONZERO"), ({"do": "garbage"}, 500, "INVALID_OUTPUT"), ({"do": "exit", "n": 9}, 500, "EXIT_NONZERO")]
        for value, status, code in table:
            found = outcome(server, **value)
            equal(found[:2], (status, code), value)
        for do in ("sleep", "garbage-then-sleep", "ignore-term", "stop"):
            equal(outcome(server, "slow", do="sleep" if do == "garbage-then-sleep" else do)[:2], (504, "TIMEOUT"), do)
        equal(outcome(server, "small", do="flood")[:2], (500, "OUTPUT_TOO_LARGE"))
        equal(outcome(server, do="exit-after-error", n=4)[2]["error"]["details"], {"exit_code": 4})
        equal(outcome(server, do="garbage")[2]["error"]["origin"], "guest")
        until(lambda: not alive(server, "slow"))


@case
def one_function_may_have_all_the_places_there_are():
    with probes({"probe": "timeout: 5m\nkill_grace: 0s\n"}, "functions: {max_concurrency: 40}\nserver: {grace: 0s}\n") as server:
        threads = [threading.Thread(target=lambda: outcome(server, do="sleep")) for _ in range(44)]
        for thread in threads:
            thread.start()
        until(lambda: len(alive(server, "probe")) == 40)
        server.process.send_signal(signal.SIGTERM)
        for thread in threads:
            thread.join()


def under_filter(problem, *calls):
    """The same table in a host that a filter keeps from these system calls."""
    with refusing(problem, *calls) as wrapper, tempfile.TemporaryDirectory(prefix="berth-home-") as home:
        for level in ("group", "cgroup") if has_cgroup else ("group",):
            the_table(f"functions: {{tree: {level}}}\n", wrapper=wrapper)
        doctor = subprocess.run([*wrapper, support.binary, "fn", "doctor"], capture_output=True, text=True, cwd=home, env={"PATH": os.environ["PATH"], "HOME": home})
        equal([line.split()[1] for line in doctor.stdout.splitlines() if line.startswith("launch ")], ["helper"], doctor.stdout + doctor.stderr)


@case
def calls_run_where_a_filter_refuses_clone3():
    under_filter("ENOSYS", "clone3")


@case
def calls_run_where_a_filter_refuses_pidfds():
    under_filter("ENOSYS", "clone3", "pidfd")


@case
def functions_run_as_another_user():
    """Call, build step, compiled program, copied folder, spooled file: all of it as the user, who reads nothing of the host's."""
    if os.geteuid() != 0:
        status, _, errors = support.run("fn", "list", cwd=tempfile.gettempdir(), env={"BERTH_FUNCTIONS_RUN_AS": "root"})
        assert status == 78 and "only root" in errors, errors
        return
    user = pwd.getpwnam("nobody")
    show = "import json, os, sys\nrequest = json.load(sys.stdin)\nfiles = [open(one['path']).read() for one in request['input'].get('_files', [])]\ntry:\n    open('/etc/shadow').read()\n    secret = True\nexcept OSError:\n    secret = False\n" \
           "print(json.dumps({'success': True, 'output': [os.getuid(), os.getgid(), os.getgroups(), os.environ['USER'], os.access(os.environ['HOME'], os.W_OK), secret, files]}))\n"
    with tempfile.TemporaryDirectory(prefix="berth-user-") as temporary:
        os.chmod(temporary, 0o711)
        folder = Path(temporary) / "functions"
        for name, files in {"plain": {"index.py": show, "manifest.yaml": "uploads: spool\n"}, "built": {"index.py": show, "make.sh": "id -u > out.py.tmp\ncat index.py >> out.py.tmp\nmv out.py.tmp out.py\n",
                            "manifest.yaml": "build: {command: sh, args: [make.sh], output: out.py, use: output}\n"}, "compiled": {"main.c": '#include <stdio.h>\nint main(void) { puts("{\\"success\\":true}"); }\n'}}.items():
            (folder / name).mkdir(parents=True)
            for file, text in files.items():
                (folder / name / file).write_text(text)
        os.chown(folder / "built", user.pw_uid, user.pw_gid)
        expected = [user.pw_uid, user.pw_gid, os.getgrouplist("nobody", user.pw_gid), "nobody", True, False, []]
        c = '{command: "{cache}/main", extensions: [".c"], entry_names: [main.c], prepare: {command: cc, args: [-o, "{cache}/main", "{entry}"], inputs: ["**/*.c"]}}'
        # Runtimes in the folder of the host's own user are out of reach.
        env = {"XDG_STATE_HOME": temporary + "/state", "PATH": "/usr/local/bin:/usr/bin:/bin"}
        with host(folder, project=f"functions: {{run_as: nobody, runtimes: {{c: {c}}}}}\n", verb=("fn", "dev"), env=env) as server:
            equal(server.call("plain")[1].get("output"), expected, server.call("plain"))
            body = '--b\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n\r\nspooled\r\n--b--\r\n'
            status, text, _ = server.request("POST", "/api/functions/plain", body, {"Content-Type": "multipart/form-data; boundary=b"})
            equal((status, json.loads(text)["output"]), (200, expected[:-1] + [["spooled"]]))
            equal((folder / "built/out.py").read_text().split("\n")[0], str(user.pw_uid))
            equal(server.call("built")[1]["output"], expected)
            equal(server.call("compiled")[0], 200, server.call("compiled"))
        closed = Path(temporary) / "closed"
        closed.mkdir(mode=0o700)
        status, _, errors = support.run("serve", folder, cwd=temporary, env={"BERTH_FUNCTIONS_RUN_AS": "nobody", "XDG_STATE_HOME": str(closed)})
        assert status == 78 and "cannot reach the state folder" in errors, (status, errors)
        status, _, errors = support.run("serve", folder, cwd=temporary, env={"BERTH_FUNCTIONS_RUN_AS": "nobody-at-all"})
        assert status == 78 and "no user" in errors, (status, errors)


@each_level
def exits_and_signals_are_named(project, level):
    with probes({"probe": ""}, project) as server:
        for number in (1, 2, 7, 120, 126, 127, 128, 255):
            answer = outcome(server, do="exit-quiet", n=number)[2]
            equal((answer["error"]["code"], answer["error"]["details"]["exit_code"]), ("EXIT_NONZERO", number))
        for name in ("TERM", "KILL", "SEGV", "ABRT", "PIPE", "XCPU", "SYS"):
            answer = outcome(server, do="signal", n=int(getattr(signal, "SIG" + name)))[2]
            equal((answer["error"]["code"], answer["error"]["details"]["signal"]), ("SIGNALED", "SIG" + name))
        assert not list(server.folder.rglob("core*")), "a core file was written"


@each_level
def the_whole_tree_ends_with_the_call(project, level):
    with probes({"probe": "kill_grace: 100ms\n", "slow": "timeout: 300ms\nkill_grace: 100ms\n"}, project) as server:
        equal(outcome(server, "slow", do="tree")[:2], (504, "TIMEOUT"))
        until(lambda: not alive(server, "slow"))
        equal(outcome(server, do="leave-child")[:2], (200, "ok"))
        until(lambda: not alive(server, "probe"))
        equal(outcome(server, do="daemon", n=0)[:2], (200, "ok"))
        until(lambda: not alive(server, "probe"))
        if level == "cgroup":
            # Known by its group alone: another session, an empty environment.
            before = set(children_of(server.process.pid))
            equal(outcome(server, do="daemon", n=1)[:2], (200, "ok"))
            until(lambda: set(children_of(server.process.pid)) <= before)


@each_level
def descriptors_signals_and_session_are_clean(project, level):
    with probes({"probe": ""}, project) as server:
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(outcome(server, do="descriptors")[2])) for _ in range(64)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        equal([answer["output"] for answer in answers], [[0, 1, 2]] * 64)
        equal(outcome(server, do="signals")[2]["output"], {"blocked": 0, "changed": 0, "session": True})


@case
def the_environment_is_exactly_what_is_documented():
    hostile = {"LD_PRELOAD": "", "NODE_OPTIONS": "--x", "AWS_SECRET_ACCESS_KEY": "k", "PYTHONSTARTUP": "/x", "BASH_ENV": "/x", "http_proxy": "http://user:password@x"} | {f"EXTRA_{i}": "x" for i in range(50)}
    with probes({"probe": "env: {OWN: mine}\n"}, "functions: {env: {SHARED: all}}\n", env=hostile) as server:
        names = {one.partition("=")[0] for one in outcome(server, do="environment")[2]["output"]}
        own = {"ALYX_FUNCTION_NAME", "ALYX_REQUEST_ID", "ALYX_RUNTIME", "ALYX_FUNCTION_DIR", "ALYX_ENTRYPOINT", "ALYX_URL", "ALYX_TIMEOUT_MS", "ALYX_DEADLINE_MS", "ALYX_TRIGGER", "ALYX_DEV", "ALYX_PROTOCOL"}
        equal(names, own | {"OWN", "SHARED", "PATH", "HOME", "LANG", "LC_ALL", "NO_COLOR"})


@case
def large_streams_in_both_directions_do_not_block():
    size = 64 << 20
    with probes({"probe": "timeout: 15m\n", "first": f"timeout: 15m\nenv: {{PROBE_ANSWER_FIRST: \"{size}\"}}\n", "closes": "timeout: 15m\nenv: {PROBE_CLOSE: \"1\"}\n", "errors": "timeout: 15m\n"}, "functions: {max_body: 80mb}\n") as server:
        body = b'{"text":"' + b"y" * size + b'"}'
        status, text, _ = server.request("POST", "/api/functions/probe", body, {"Content-Type": "application/json"})
        equal((status, body in text), (200, True))
        status, text, _ = server.request("POST", "/api/functions/first", body, {"Content-Type": "application/json"})
        equal((status, text.count(b"x") >= size), (200, True))
        status, text, _ = server.request("POST", "/api/functions/closes", body, {"Content-Type": "application/json"})
        equal((status, json.loads(text)["output"]), (200, "done"))
        equal(outcome(server, "errors", do="flood-errors", n=1024)[:2], (200, "ok"))


@case
def numbers_order_duplicates_and_escapes_pass_unchanged():
    with probes({"probe": ""}) as server:
        for text in ('{"a":9007199254740993,"b":1e400,"c":-0.0,"d":1.10}', '{"b":1,"a":2,"b":3}', '{"s":"\\u0000\\u2028 \u2028"}', "{" + ",".join(f'"m{i}":{i}' for i in range(100_000)) + "}"):
            status, answer, _ = server.request("POST", "/api/functions/probe", text, {"Content-Type": "application/json"})
            assert status == 200 and text.encode() in answer, (status, answer[:300])


@case
def bad_inputs_never_start_a_process():
    with probes({"probe": ""}) as server:
        bad = [(" ", "syntax"), ("[1]", "not_object"), ('"x"', "not_object"), ("{", "syntax"), ('{"a":1,}', "syntax"), ("{}{}", "trailing"), ("\ufeff{}", "syntax"), (b'{"a":"\xff"}', "utf8"), (b'{"a":"\xc0\xaf"}', "utf8"),
               ('{"a":"\\ud800"}', "surrogate"), ('{"a":"\\udc00x"}', "surrogate"), ('{"a":' + "[" * 513 + "]" * 513 + "}", "depth"), ('{"a":NaN}', "syntax"), ("null", "not_object"), ("{'a':1}", "syntax"), ('{"a":01}', "syntax"),
               ('{"a":1}x', "trailing"), ("{// c\n}", "syntax"), ('{"a":"\x01"}', "syntax"), ("tru", "syntax")]
        for body, reason in bad:
            status, answer = server.call("probe", body.encode() if isinstance(body, str) else body)
            equal((status, answer["error"]["code"], answer["error"]["details"]["reason"]), (400, "INVALID_INPUT", reason), body[:40])
            assert "offset" in answer["error"]["details"]
        metrics = server.request("GET", "/metrics")[1].decode()
        assert 'berth_process_bytes_total{direction="in"}' not in metrics, "a process was started"


@each_level
def limits_hold_for_the_whole_tree(project, level):
    manifests = {"probe": "", "memory": "memory: 128mb\n", "pids": "limits: {pids: 32}\n", "cpu": "limits: {cpu: 1}\nkill_grace: 0s\n"}
    with probes(manifests, project) as server:
        for do in ("memory", "memory-child"):
            status, code, answer = outcome(server, "memory", do=do, n=1024)
            equal((status, code), (500, "MEMORY_LIMIT"), do)
            assert answer["error"]["details"]["enforced_by"] in ("cgroup2", "cgroup1", "sampler"), answer
        code = outcome(server, "pids", do="fork-bomb")
        assert code[1] == "QUOTA_EXCEEDED" or code[2]["output"]["refused"] > 100, code
        equal(outcome(server, do="answer")[:2], (200, "ok"))
        equal(outcome(server, "cpu", do="spin", n=4)[:2], (500, "CPU_LIMIT"))
        until(lambda: not [pid for name in manifests for pid in alive(server, name)])


@case
def nothing_is_left_when_the_host_is_killed():
    with probes({"probe": ""}) as server:
        dead = server.process.pid
        threads = [threading.Thread(target=_call_ignoring, args=(server,), daemon=True) for _ in range(16)]
        for thread in threads:
            thread.start()
        until(lambda: len(alive(server, "probe")) >= 16)
        server.process.kill()
        server.process.wait(timeout=600)
        until(lambda: not alive(server, "probe"))
    with probes({"probe": ""}) as server:  # the next start takes away what the dead host's groups are
        equal(outcome(server, do="answer")[:2], (200, "ok"))
        for folder in ("/sys/fs/cgroup/unified", "/sys/fs/cgroup"):
            left = list(Path(folder).glob(f"berth-fn-{dead}-*"))
            equal(left, [])


def _call_ignoring(server):
    with contextlib.suppress(Exception):
        outcome(server, do="sleep")


@case
def secrets_and_tokens_are_not_shown():
    with probes({"probe": "secrets: [API_KEY]\n"}, "functions: {expose_debug: true, secrets_allow: {probe: [API_KEY]}}\n", env={"BERTH_SECRET_API_KEY": "extremely-secret-value"}) as server:
        status, answer = server.call("probe", {"do": "echo-secrets"})
        equal((status, answer["error"]["message"]), (500, "[redacted]"))
        status, answer = server.call("probe", {"do": "environment"})
        assert not any("extremely" in one for one in answer["output"]), answer
    text = "".join(server.errors) + json.dumps(answer["logs"])
    assert "extremely-secret-value" not in text and "API_KEY" in text, text[-2000:]


@case
def no_part_of_a_secret_is_in_a_record_or_a_log():
    """Over the cut of an excerpt, in lines that are split, through the internal API, and in payloads that are kept."""
    hidden = "Q~~Q~QQ~Q~~~QQ"  # of characters that nothing else here has
    say = f"""import json, sys, urllib.request
request = json.load(sys.stdin)
context, how = request['context'], request['input']['how']
key, token = context['env']['KEY'], context['internal_token']
if how == 'excerpt':
    sys.stderr.write('a' * 2040 + key + 'a' * 70000 + '\\n' + 'a' * 65530 + token + key + 'a' * 2040 + '\\n')
    sys.exit('a' * 2040 + key + 'a' * 9000)
made = urllib.request.Request(context['alyx_url'] + '/internal/v1/log', method='POST', headers={{'Authorization': 'Bearer ' + token}},
                              data=json.dumps([{{'level': 'warn', 'message': 'a' * 65530 + key, 'data': {{'k': key, 't': token}}}}, {{'level': 'loud', 'message': 'said ' + key}}]).encode())
urllib.request.urlopen(made).read()
json.dump({{'success': True, 'output': [key], 'logs': [{{'level': 'info', 'message': 'a' * 65530 + key}}]}}, sys.stdout)
"""
    with tempfile.TemporaryDirectory(prefix="berth-secrets-") as temporary:
        (Path(temporary) / "say").mkdir()
        (Path(temporary) / "say/index.py").write_text(say)
        (Path(temporary) / "say/manifest.yaml").write_text("secrets: [KEY]\n")
        project = "functions: {expose_debug: true, record_payloads: all, secrets_allow: {say: [KEY]}, auth: none, admin_token: " + hashlib.sha256(b"admin").hexdigest() + "}\n"
        with host(temporary, project=project, env={"BERTH_SECRET_KEY": hidden}) as server:
            failed = server.request("POST", "/api/functions/say", json.dumps({"how": "excerpt"}))
            good = server.call("say", {"how": "log", "given": hidden})
            equal((failed[0], good[0], good[1]["output"]), (500, 200, [hidden]))  # what a function answers is left as it is
            admin = {"Authorization": "Bearer admin"}
            logs, records = (server.request("GET", "/api/functions/say/" + what, headers=admin)[1].decode() for what in ("logs?limit=1000", "executions"))
            said = [(one["source"], one["level"], one["message"].strip("a"), one.get("data")) for one in json.loads(logs)["logs"]]
            equal([one for one in said if one[0] == "function"], [("function", "warn", "[redac", {"k": "[redacted:KEY]", "t": "[redacted]"}), ("function", "info", "said [redacted:KEY]", None), ("function", "info", "[redac", None)])
            assert ("stderr", "info", "[redacted:KEY]", None) in said, said
            record = json.loads(records)["executions"][0]
            equal((record["input"]["given"], record["output"]), ("[redacted:KEY]", ["[redacted:KEY]"]))
        good[1]["output"] = None
        for what, text in (("answer", failed[1].decode()), ("logs of the answer", json.dumps(good[1])), ("logs", logs), ("records", records), ("host", "".join(server.errors))):
            found = [text[max(0, text.index(one) - 60):][:120] for one in "Q~" if one in text]
            assert not found, (what, found)


@case
def a_policy_gives_secrets_and_bounds_what_a_token_opens():
    ask = """import json, sys, urllib.request, urllib.error
request = json.load(sys.stdin)
context = request['context']
def ask(path, body):
    made = urllib.request.Request(context['alyx_url'] + path, method='POST', data=json.dumps(body).encode(), headers={'Authorization': 'Bearer ' + context['internal_token']})
    try:
        with urllib.request.urlopen(made) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())['error']['code']
json.dump({'success': True, 'output': [context['env'].get('KEY'), ask('/internal/v1/log', {'level': 'info', 'message': 'm'}), ask('/internal/v1/invoke/echo', {}), ask('/internal/v1/invoke/other', {})]}, sys.stdout)
"""
    echo = "import sys\nsys.stdin.read()\nprint('{\"success\":true}')\n"
    with tempfile.TemporaryDirectory(prefix="berth-policy-") as temporary:
        for name, text in (("asks", ask), ("free", ask), ("echo", echo), ("other", echo)):
            (Path(temporary) / name).mkdir()
            (Path(temporary) / name / "index.py").write_text(text)
        (Path(temporary) / "asks/manifest.yaml").write_text("secrets: [KEY]\n")
        policy = "policies: [{policy: 1, match: {world: subprocess, name: asks}, grants: {secret.read: {names: [KEY]}, function.invoke: {names: [echo]}}}]\n"
        with host(temporary, project=policy, env={"BERTH_SECRET_KEY": "a-secret-value"}) as server:
            refused = [403, "FORBIDDEN"]
            equal(server.call("asks")[1]["output"], ["a-secret-value", refused, 200, refused])
            equal(server.call("free")[1]["output"], [None, 200, 200, 200])


@case
def many_mixed_calls_leave_nothing():
    """4,000 calls, half of them faults; the full size of 100,000 runs in the bench."""
    faults = [{"do": "answer"}, {"do": "exit-quiet", "n": 7}, {"do": "answer"}, {"do": "signal", "n": 11}, {"do": "answer"}, {"do": "garbage"}, {"do": "echo"}, {"do": "leave-child"}, {"do": "answer"}, {"do": "empty"}]
    with probes({"probe": "kill_grace: 0s\n"}, env={"BERTH_LOG_LEVEL": "error"}) as server:
        pid = server.process.pid

        def look():
            return len(os.listdir(f"/proc/{pid}/fd")), len(children_of(pid)), len(os.listdir(f"/proc/{pid}/task"))

        def calls(count):
            def work(start):
                for i in range(start, count, 4):
                    outcome(server, **faults[i % len(faults)])
            threads = [threading.Thread(target=work, args=(i,)) for i in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        calls(400)
        until(lambda: look()[1] == 0)
        before = look()
        calls(3600)
        until(lambda: look()[0] <= before[0] + 2 and look()[1:] == before[1:])
        assert not alive(server, "probe")


@case
def limits_of_descriptors_are_an_error_of_the_call():
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    with tempfile.TemporaryDirectory(prefix="berth-probe-") as temporary:
        folder = Path(temporary) / "functions"
        make_probe(folder)
        limited = Path(temporary) / "limited"
        limited.write_text(f"#!/bin/sh\nulimit -n 64\nexec {__import__('support').binary} \"$@\"\n")
        limited.chmod(0o755)
        import support
        whole, support.binary = support.binary, limited
        try:
            with host(folder) as server:
                answers = []

                def work():
                    with contextlib.suppress(OSError, ConnectionError):
                        answers.append(outcome(server, do="answer")[1])
                threads = [threading.Thread(target=work) for _ in range(40)]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                assert set(answers) <= {"ok", "SPAWN_FAILED", "QUEUE_FULL"}, set(answers)
                until(lambda: outcome(server, do="answer")[1] == "ok")
        finally:
            support.binary = whole


@case
def what_cannot_be_executed_is_named():
    with tempfile.TemporaryDirectory(prefix="berth-exec-") as temporary:
        folder = Path(temporary) / "functions"
        texts = {"noexec": ("#!/bin/sh\n", 0o644), "empty": ("", 0o755), "crlf": ("#!/bin/sh\r\necho\n", 0o755), "nowhere": ("#!/nothing/here\n", 0o755), "foreign": ("\x7fELF\x02\x01\x01" + "\0" * 57, 0o755), "gone": ("#!/bin/sh\n", 0o755)}
        for name, (text, mode) in texts.items():
            (folder / name).mkdir(parents=True)
            (folder / name / "handler").write_text(text)
            (folder / name / "handler").chmod(mode)
        with host(folder) as server:
            equal(server.call("noexec")[1]["error"]["code"], "FUNCTION_INVALID")
            assert "chmod +x" in server.call("noexec")[1]["error"]["message"]
            equal(server.call("empty")[0], 404)  # no entry: no function
            equal(server.call("crlf")[1]["error"]["code"], "NOT_EXECUTABLE")
            equal(server.call("nowhere")[1]["error"]["code"], "RUNTIME_NOT_FOUND")
            equal(server.call("foreign")[1]["error"]["code"], "NOT_EXECUTABLE")
            (folder / "gone/handler").unlink()
            equal(server.call("gone")[1]["error"]["code"], "ENTRY_NOT_FOUND")
            (folder / "gone/handler").symlink_to("/etc/passwd")
            equal(server.call("gone")[1]["error"]["code"], "FUNCTION_INVALID")
