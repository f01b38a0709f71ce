"""The routes of functions: credentials, tokens, bodies, records, paths of their own."""
import base64
import contextlib
import gzip
import hashlib
import hmac
import json
import os
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import support
from support import Cases, alive, equal, folder_of, host, root, until

cases = Cases()
case = cases.case
secret = "a secret of at least thirty-two bytes"


def token(algorithm="HS256", key=secret, **claims):
    def part(value):
        return base64.urlsafe_b64encode(value if isinstance(value, bytes) else json.dumps(value).encode()).rstrip(b"=")
    text = part({"alg": algorithm, "typ": "JWT"}) + b"." + part({"sub": "u1", "exp": int(time.time()) + 3600} | claims)
    return (text + b"." + part(hmac.new(key.encode(), text, hashlib.sha256).digest())).decode()


def bearer(text):
    return {"Authorization": "Bearer " + text}


@contextlib.contextmanager
def functions(files, project="", **options):
    with folder_of(files) as folder, host(folder, project=project, **options) as server:
        server.folder = folder
        yield server


show = "import json, sys\nrequest = json.load(sys.stdin)\njson.dump({'success': True, 'output': request['context']['auth']}, sys.stdout)\n"
plain = "import json, sys\nrequest = json.load(sys.stdin)\njson.dump({'success': True, 'output': request['input']}, sys.stdout)\n"


@case
def credentials_decide_who_may_call():
    files = {"none/index.py": show, "none/manifest.yaml": "auth: {mode: none}\n", "optional/index.py": show, "optional/manifest.yaml": "auth: {mode: optional}\n", "required/index.py": show,
             "required/manifest.yaml": "auth: {mode: required}\n", "editors/index.py": show, "editors/manifest.yaml": "auth: {mode: required, roles: [editor], users: [u9]}\n"}
    with functions(files, "server: {auth: {hs_secret: JWT}}\n", env={"BERTH_SECRET_JWT": secret}) as server:
        good, editor = bearer(token(email="u@example.com", email_verified=True)), bearer(token(role="editor", metadata={"team": 1}))
        wrong = [bearer("x"), bearer(token(key="b" * 40)), bearer(token(exp=int(time.time()) - 600)), bearer(token(algorithm="none")), bearer(token(nbf=int(time.time()) + 600)), {"Authorization": "Basic eDp5"}]
        expected = {"none": (200, 200, 200, 200), "optional": (200, 401, 200, 200), "required": (401, 401, 200, 200), "editors": (401, 401, 403, 200)}
        for name, statuses in expected.items():
            found = (server.call(name)[0], server.call(name, headers=wrong[0])[0], server.call(name, headers=good)[0], server.call(name, headers=editor)[0])
            equal(found, statuses, name)
        for credential in wrong:
            equal(server.call("optional", headers=credential)[0], 401, credential)
        equal(server.call("optional")[1]["output"], None)
        equal(server.call("optional", headers=good)[1]["output"], {"id": "u1", "email": "u@example.com", "verified": True})
        equal(server.call("optional", headers=editor)[1]["output"], {"id": "u1", "email": "", "verified": False, "role": "editor", "metadata": {"team": 1}})
        equal(server.call("editors", headers=bearer(token(sub="u9")))[0], 200)


@case
def administrators_routes_need_the_administrator():
    admin = "the administrator's token"
    digest = hashlib.sha256(admin.encode()).hexdigest()
    mine = "runtimes: {mine: {command: mine, extensions: [.mine], version: {args: [--version], pattern: 'mine ([0-9.]+)'}}}"
    with tempfile.TemporaryDirectory(prefix="berth-mine-") as programs, functions({"plain/index.py": plain, "plain/manifest.yaml": "env: {HIDDEN: very-hidden-value}\n"},
                                                                                   f"server: {{auth: {{hs_secret: JWT}}}}\nfunctions: {{admin_token: {digest}, {mine}}}\n",
                                                                                   env={"BERTH_SECRET_JWT": secret, "PATH": programs + ":" + os.environ["PATH"]}) as server:
        (Path(programs) / "mine").write_text("#!/bin/sh\necho mine 4.2\n")
        (Path(programs) / "mine").chmod(0o755)
        routes = [("GET", "/api/functions/stats"), ("POST", "/api/functions/reload"), ("GET", "/api/functions/plain/logs"), ("GET", "/api/functions/plain/executions"), ("GET", "/api/executions"), ("GET", "/api/runtimes")]
        for method, path in routes:
            equal(server.request(method, path)[0], 401, path)
            if not path.endswith("/executions"):  # who made calls sees those
                equal(server.request(method, path, headers=bearer(token()))[0], 403, path)
            equal(server.request(method, path, headers=bearer(token(role="admin")))[0], 200, path)
            equal(server.request(method, path, headers=bearer(admin))[0], 200, path)
        server.call("plain", headers=bearer(token(sub="one")))
        server.call("plain", headers=bearer(token(sub="two")))
        for path in ("/api/executions", "/api/functions/plain/executions"):
            for caller, seen in ((bearer(token(sub="one")), 1), (bearer(token(sub="three")), 0), (bearer(admin), 2)):
                equal(server.get(path, headers=caller)[1]["count"], seen, path)
        status, answer = server.get("/api/executions/nothing", headers=bearer(admin))
        equal((status, answer["error"]["code"]), (404, "NOT_FOUND"))
        equal(server.get("/api/functions/nothing")[1]["error"]["code"], "FUNCTION_NOT_FOUND")
        found = {one["name"]: one for one in server.get("/api/runtimes", headers=bearer(admin))[1]["runtimes"]}
        equal((found["mine"]["version"], found["exec"]["version"]), ("4.2", None))
        for path in ("/api/functions", "/api/functions/plain"):
            assert b"very-hidden-value" not in server.request("GET", path)[1]
            assert b"very-hidden-value" not in server.request("GET", path, headers=bearer(admin))[1]
        assert b'"HIDDEN"' in server.request("GET", "/api/functions/plain", headers=bearer(admin))[1]


@case
def the_token_of_a_call_opens_the_internal_api_while_it_runs():
    ask = """import json, sys, urllib.request, urllib.error
request = json.load(sys.stdin)
context = request['context']
def ask(method, path, token, body=None):
    made = urllib.request.Request(context['alyx_url'] + path, method=method, data=body, headers={'Authorization': 'Bearer ' + token})
    try:
        with urllib.request.urlopen(made) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())
token = context['internal_token']
out = {'token': token, 'who': ask('GET', '/internal/v1/whoami', token), 'bad': ask('GET', '/internal/v1/whoami', 'f' * 64)[0], 'query': ask('GET', '/internal/v1/whoami?token=' + token, 'x')[0],
       'admin': ask('GET', '/api/functions/stats', token)[0], 'db': ask('POST', '/internal/v1/db/query', token, b'{}')[0],
       'log': ask('POST', '/internal/v1/log', token, json.dumps({'level': 'warn', 'message': 'said while it runs'}).encode())[0],
       'invoke': ask('POST', '/internal/v1/invoke/echo', token, b'{"x":1.10}'), 'none': ask('POST', '/internal/v1/invoke/nothing', token, b'{}')[0]}
json.dump({'success': True, 'output': out}, sys.stdout)
"""
    with functions({"ask/index.py": ask, "echo/index.py": plain}, verb=("fn", "dev")) as server:
        output = server.call("ask")[1]["output"]
        equal(output["who"][0], 200)
        equal((output["who"][1]["function"], output["who"][1]["depth"], output["who"][1]["auth"]), ("ask", 0, None))
        assert 0 < output["who"][1]["expires_in_ms"] < 60_000, output
        equal([output[name] for name in ("bad", "query", "db", "log", "none")], [401, 401, 501, 200, 404])
        equal((output["invoke"][0], output["invoke"][1]["output"]), (200, {"x": 1.1}))
        equal(server.request("GET", "/internal/v1/whoami", headers=bearer(output["token"]))[0], 401, "after the call")
        until(lambda: any("said while it runs" in line for line in server.out))
        assert not any(output["token"] in line for line in server.out)


@case
def functions_that_call_each_other_end():
    again = """import json, sys, urllib.request, urllib.error
request = json.load(sys.stdin)
context = request['context']
made = urllib.request.Request(context['alyx_url'] + '/internal/v1/invoke/again', method='POST', data=b'{}', headers={'Authorization': 'Bearer ' + context['internal_token']})
try:
    with urllib.request.urlopen(made) as answer:
        inner = json.loads(answer.read())
except urllib.error.HTTPError as error:
    inner = json.loads(error.read())
json.dump({'success': True, 'output': inner.get('output') or inner['error']['code']}, sys.stdout)
"""
    with functions({"again/index.py": again}) as server:
        equal(server.call("again")[1]["output"], "CALL_DEPTH")
    for deepest in (0, 1, 3):
        with functions({"again/index.py": again}, f"functions: {{max_call_depth: {deepest}}}\n", verb=("fn", "dev")) as server:
            equal(server.call("again")[1]["output"], "CALL_DEPTH")
            equal(server.get("/api/functions/again/executions")[1]["count"], deepest + 1)
    with functions({"again/index.py": again}, "functions: {max_concurrency: 1}\n") as server:
        equal(server.call("again")[1]["output"], "QUEUE_FULL")


@case
def bodies_of_every_kind():
    with functions({"plain/index.py": plain}, "functions: {max_body: 1mb}\n") as server:
        def post(body, kind=None, **fields):
            status, text, _ = server.request("POST", "/api/functions/plain", body, ({"Content-Type": kind} if kind else {}) | fields)
            answer = json.loads(text)
            return status, answer["output"] if answer.get("success") else answer["error"]["code"]
        equal(post(b'{"a":1}'), (200, {"a": 1}))
        equal(post(b'{"a":1}', "application/vnd.x+json; charset=utf-8"), (200, {"a": 1}))
        equal(post(b""), (200, {}))
        equal(post(b"a=1&a=2&b=x+y", "application/x-www-form-urlencoded"), (200, {"a": ["1", "2"], "b": "x y"}))
        equal(post(b'{"a":1}', "application/x-www-form-urlencoded"), (200, {"a": 1}))
        equal(post(b"x", "text/plain")[0], 415)
        equal(post(b"{}", "application/json; charset=latin-1")[0], 415)
        equal(post(gzip.compress(b'{"z":1}'), "application/json", **{"Content-Encoding": "gzip"}), (200, {"z": 1}))
        equal(post(gzip.compress(b"{" + b" " * (100 << 20) + b"}"), "application/json", **{"Content-Encoding": "gzip"})[0], 413)
        equal(post(gzip.compress(b"{}")[:-3], "application/json", **{"Content-Encoding": "gzip"})[0], 400)
        equal(post(b"{}", "application/json", **{"Content-Encoding": "br"})[0], 415)
        equal(post(b'{"a":"' + b"x" * (2 << 20) + b'"}', "application/json")[0], 413)
        form = b'--XX\r\nContent-Disposition: form-data; name="note"\r\n\r\nhello\r\n--XX\r\nContent-Disposition: form-data; name="one"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\n\x00\xff\r\n--XX\r\n' \
               b'Content-Disposition: form-data; name="two"; filename="b"\r\n\r\n\r\n--XX--\r\n'
        status, output = post(form, "multipart/form-data; boundary=XX")
        equal((status, output["note"]), (200, "hello"))
        equal(output["_files"], [{"name": "one", "filename": "a.txt", "content_type": "text/plain", "size": 2, "data": "AP8="}, {"name": "two", "filename": "b", "content_type": "application/octet-stream", "size": 0, "data": ""}])
        for bad in (form[:-6], b"", b"--XX", form.replace(b'name="note"', b'name="_files"'), form.replace(b'; name="note"', b"")):
            equal(post(bad, "multipart/form-data; boundary=XX") if bad else (400, "INVALID_INPUT"), (400, "INVALID_INPUT"), bad[:40])
        equal(post(form, "multipart/form-data")[0], 400)
        for body, type_, details in ((form[:-6], "multipart/form-data; boundary=XX", {"reason": "multipart", "multipart": "its last boundary is missing"}), (b"a=%zz", "application/x-www-form-urlencoded", {"reason": "form"})):
            text = server.request("POST", "/api/functions/plain", body, {"Content-Type": type_})[1]
            equal(json.loads(text)["error"]["details"], details)


@case
def uploads_may_lie_in_files():
    read = "import json, sys\nrequest = json.load(sys.stdin)\none = request['input']['_files'][0]\njson.dump({'success': True, 'output': [open(one['path']).read(), one['path']]}, sys.stdout)\n"
    with functions({"read/index.py": read, "read/manifest.yaml": "uploads: spool\n"}) as server:
        form = b'--X\r\nContent-Disposition: form-data; name="f"; filename="../../etc/x"\r\n\r\ncontent\r\n--X--\r\n'
        status, text, _ = server.request("POST", "/api/functions/read", form, {"Content-Type": "multipart/form-data; boundary=X"})
        text, path = json.loads(text)["output"]
        equal((status, text), (200, "content"))
        until(lambda: not os.path.exists(path))


@case
def routes_of_manifests():
    answer = "import base64, json, sys\nrequest = json.load(sys.stdin)\ninput = request['input']\nkind = input['params'].get('kind', 'input')\nout = {'input': {'got': input}, 'text': {'status': 201, 'headers': {'X-Own': 'a'}, 'body': 'hello'}, " \
             "'binary': {'body': base64.b64encode(bytes([0, 255])).decode(), 'body_encoding': 'base64'}, 'nothing': None, 'inject': {'status': 200, 'headers': {'X': 'a\\r\\nY: b'}}, 'own': {'status': 200, 'headers': {'Content-Length': '5'}}, 'odd': {'status': 99}}[kind]\n" \
             "json.dump({'success': True, 'output': out}, sys.stdout)\n"
    files = {"any/index.py": answer, "any/manifest.yaml": 'routes:\n  - {path: "/a/{kind}", methods: [GET, POST]}\n  - {path: "/rest/{path...}", methods: [PUT]}\n', "fixed/index.py": answer.replace("input['params'].get('kind', 'input')", "'text'"),
             "fixed/manifest.yaml": "routes: [{path: /a/fixed, methods: [GET]}]\n", "one/index.py": plain, "one/manifest.yaml": 'routes: [{path: "/same/{a}", methods: [GET]}]\n', "two/index.py": plain,
             "two/manifest.yaml": 'routes: [{path: "/same/{b}", methods: [GET]}]\n'}
    with functions(files) as server:
        status, text, fields = server.request("GET", "/a/text")
        equal((status, text, fields["x-own"], fields["content-type"]), (201, b"hello", "a", "text/plain; charset=utf-8"))
        equal(server.request("GET", "/a/binary")[1], b"\x00\xff")
        equal(server.request("GET", "/a/nothing")[0], 204)
        for kind in ("inject", "own", "odd"):
            equal((server.request("GET", f"/a/{kind}")[0], json.loads(server.request("GET", f"/a/{kind}")[1])["error"]["code"]), (500, "INVALID_OUTPUT"), kind)
        equal(server.request("GET", "/a/fixed")[0], 201)
        status, text, _ = server.request("PUT", "/rest/x/y%20z?q=1&q=2", b"\xff\x00", {"Content-Type": "application/octet-stream", "Authorization": "Bearer x", "Cookie": "c=1", "X-A": "1"})
        equal(status, 401)
        status, text, _ = server.request("PUT", "/rest/x/y%20z?q=1&q=2", b"\xff\x00", {"Content-Type": "application/octet-stream", "Cookie": "c=1", "X-A": "1"})
        found = json.loads(text)["got"]
        equal((found["method"], found["params"], found["query"], found["body"], found["body_encoding"], found["headers"]["x-a"], "cookie" in found["headers"]), ("PUT", {"path": "x/y z"}, {"q": ["1", "2"]}, "/wA=", "base64", "1", False))
        status, _, fields = server.request("DELETE", "/a/text")
        equal((status, fields["allow"]), (405, "GET, POST"))
        equal(server.request("GET", "/same/x")[0], 404)
        equal(server.call("one")[1]["error"]["code"], "FUNCTION_INVALID")
        equal(server.request("GET", "/rest")[0], 404)


@case
def asynchronous_calls_are_kept_and_can_be_stopped():
    slow = "import time\ntime.sleep(1000)\n"
    with functions({"plain/index.py": plain, "slow/index.py": slow, "slow/manifest.yaml": "kill_grace: 0s\n"}, "functions: {record_payloads: all}\n", verb=("fn", "dev")) as server:
        status, text, fields = server.request("POST", "/api/functions/plain", b'{"a":1.10}', {"Prefer": "respond-async"})
        accepted = json.loads(text)
        equal((status, accepted["status"], fields["location"]), (202, "pending", "/api/executions/" + accepted["execution_id"]))
        record = until(lambda: (lambda one: one if one["status"] == "success" else None)(server.get(fields["location"])[1]))
        equal((record["input"], record["output"], record["function_id"]), ({"a": 1.1}, {"a": 1.1}, "plain"))
        status, text, fields = server.request("POST", "/api/functions/slow?async=1", b"{}")
        until(lambda: server.get(fields["location"])[1]["status"] == "running")
        until(lambda: alive(server, "slow"))
        equal(server.request("DELETE", fields["location"])[0], 202)
        until(lambda: server.get(fields["location"])[1]["status"] == "canceled")
        until(lambda: not alive(server, "slow"))
        equal(server.request("DELETE", fields["location"])[0], 409)
        assert server.get("/api/functions/plain/executions?status=success")[1]["count"] == 1
        equal([one["id"] for one in server.get("/api/executions?trigger_id=" + accepted["execution_id"])[1]["executions"]], [accepted["execution_id"]])
        equal(server.get(f"/api/executions?status=failed&trigger_id={accepted['execution_id']}")[1]["count"], 0)
        for wrong in ("status=odd", "limit=many", "limit=-1", "offset=1x"):
            equal(server.get("/api/executions?" + wrong)[0], 400, wrong)


@case
def records_hold_all_that_was_said_in_its_order():
    said = """import datetime, json, sys
request = json.load(sys.stdin)
def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat()
first = now()
print("WARN one", file=sys.stderr, flush=True)
second = now()
print("two", file=sys.stderr, flush=True)
print(json.dumps({"success": True, "logs": [{"level": "info", "message": "at the end"}, {"level": "debug", "message": "between", "timestamp": second}, {"level": "error", "message": "before all", "timestamp": first}]}))
"""
    with functions({"said/index.py": said}, verb=("fn", "dev")) as server:
        status, answer = server.call("said")
        equal((status, [one["message"] for one in answer["logs"]]), (200, ["at the end", "between", "before all"]), "standard error is not in the answer")
        record = server.get("/api/functions/said/executions")[1]["executions"][0]
        equal([one["message"] for one in record["logs"] if one["source"] == "function"], ["before all", "between", "at the end"])
        equal([(one["level"], one["message"]) for one in record["logs"] if one["source"] == "stderr"], [("warn", "one"), ("info", "two")])
        equal(sorted(one["ts"] for one in record["logs"]), [one["ts"] for one in record["logs"]])
        equal(sorted(one["seq"] for one in record["logs"]), [1, 2, 3, 4, 5])
        assert record["version"], record


@case
def accepted_calls_survive_a_host_that_is_killed():
    """What had not begun runs once after the restart; what ran is failed and does not run again."""
    with tempfile.TemporaryDirectory(prefix="berth-crash-") as temporary:
        marks = Path(temporary)
        note = f"import json, os, sys\nrequest = json.load(sys.stdin)\nwith open('{marks}/ran', 'a') as file:\n    file.write(request['input']['n'] + '\\n')\n"
        wait = note + f"import time\nwhile not os.path.exists('{marks}/go'):\n    time.sleep(0.01)\nprint('{{\"success\":true,\"output\":' + json.dumps(request['input']['n']) + '}}')\n"
        (marks / "functions/wait").mkdir(parents=True)
        (marks / "functions/wait/index.py").write_text(wait)
        (marks / "functions/wait/manifest.yaml").write_text("timeout: 5m\nconcurrency: 2\nqueue_timeout: 5m\n")
        keep = {"XDG_STATE_HOME": str(marks / "state")}
        admin = {"Authorization": "Bearer the administrator's token"}
        config = f"functions: {{records: file, record_payloads: all, admin_token: {hashlib.sha256(b'the administrator' + chr(39).encode() + b's token').hexdigest()}}}\n"
        accepted = {}
        with host(marks / "functions", project=config, env=keep) as server:
            for i in range(40):
                status, text, fields = server.request("POST", "/api/functions/wait?async=1", json.dumps({"n": f"call-{i}"}), {"Content-Type": "application/json"})
                equal(status, 202)
                accepted[fields["location"]] = f"call-{i}"
            until(lambda: (marks / "ran").exists() and len((marks / "ran").read_text().splitlines()) == 2)
            before = {path: server.get(path, admin)[1]["status"] for path in accepted}
            server.process.kill()
            server.process.wait()
        ran_before = set((marks / "ran").read_text().split())
        (marks / "go").touch()
        with host(marks / "functions", project=config, env=keep) as server:
            after = {}
            for path, name in accepted.items():
                after[name] = until(lambda: (lambda one: one if one["status"] not in ("pending", "running") else None)(server.get(path, admin)[1]))
            failed = {name for name, record in after.items() if record["status"] == "failed"}
            assert ran_before <= failed, (ran_before, failed)
            for name in failed:
                equal((after[name]["error"]["code"], after[name]["completed_at"] is not None), ("host_restarted", True))
            for path, name in accepted.items():
                if name not in failed:
                    equal((before[path], after[name]["status"], after[name]["output"], after[name]["input"]), ("pending", "success", name, {"n": name}))
            ran = (marks / "ran").read_text().split()
            equal(len(ran), len(set(ran)), "nothing ran twice")
            equal(set(ran), ran_before | (set(accepted.values()) - failed))
            assert len(failed) < len(accepted) / 2, failed
            equal(server.get("/api/executions?limit=100&function_id=wait", admin)[1]["count"], 40)
            equal(server.get("/api/executions?limit=100&status=failed", admin)[1]["count"], len(failed))
        # A host that ends in order leaves its records as well, and another one cannot have the same store.
        with host(marks / "functions", project=config, env=keep) as server:
            equal(server.call("wait", {"n": "later"})[0], 200)
            second = subprocess.run([support.binary, "serve", marks / "functions", "--port", "0", "--config", next(Path(path) for path in [str(marks / "berth.yaml")] if (marks / "berth.yaml").write_text(config))],
                                    capture_output=True, text=True, env={"PATH": os.environ["PATH"], "HOME": str(marks), **keep})
            equal(second.returncode != 0 and "storage_locked" in second.stderr and "--state-dir" in second.stderr, True, second.stderr)
        with host(marks / "functions", project=config, env=keep) as server:
            newest = server.get("/api/executions?limit=1", admin)[1]["executions"][0]
            equal((newest["status"], newest["input"], newest["output"]), ("success", {"n": "later"}, "later"))


@case
def what_waits_when_a_host_ends_is_begun_by_the_next():
    with tempfile.TemporaryDirectory(prefix="berth-restart-") as temporary:
        folder = Path(temporary)
        (folder / "functions/wait").mkdir(parents=True)
        (folder / "functions/wait/index.py").write_text(f"import json, os, sys, time\njson.load(sys.stdin)\nopen('{folder}/began', 'w').close()\nwhile not os.path.exists('{folder}/go'):\n    time.sleep(0.01)\nprint('{{\"success\":true}}')\n")
        (folder / "functions/wait/manifest.yaml").write_text("timeout: 5m\nconcurrency: 1\nqueue_timeout: 5m\nkill_grace: 0s\n")
        config = "functions: {records: file}\nserver: {grace: 0s}\n"
        paths = []
        with host(folder / "functions", project=config, env={"XDG_STATE_HOME": str(folder / "state")}, verb=("fn", "dev")) as server:
            for _ in range(30):
                paths.append(server.request("POST", "/api/functions/wait?async=1", b"{}")[2]["location"])
            until(lambda: (folder / "began").exists())
        (folder / "go").touch()
        with host(folder / "functions", project=config, env={"XDG_STATE_HOME": str(folder / "state")}, verb=("fn", "dev")) as server:
            records = [until(lambda: (lambda one: one if one["status"] not in ("pending", "running") else None)(server.get(path)[1])) for path in paths]
            ended = [record for record in records if record["status"] == "failed"]
            assert all(record["error"]["code"] == "shutting_down" for record in ended), ended
            assert 1 <= len(ended) < 20, len(ended)
            equal(sum(record["status"] == "success" for record in records), 30 - len(ended))


@case
def failures_answer_200_where_that_is_asked_for():
    fails = "import json\nprint(json.dumps({'success': False, 'error': {'code': 'NOT_FOUND', 'message': 'no'}}))\n"
    with functions({"http/index.py": fails, "ok/index.py": fails, "ok/manifest.yaml": "error_status: ok\n", "dies/index.py": "raise SystemExit(3)\n", "dies/manifest.yaml": "error_status: ok\n"}) as server:
        equal([server.call(name)[0] for name in ("http", "ok", "dies")], [404, 200, 500])
        equal(server.call("ok")[1]["success"], False)


@case
def a_client_that_goes_ends_its_call():
    import socket
    slow = "import time\nopen('started-' + __import__('os').environ['ALYX_FUNCTION_NAME'], 'w').close()\ntime.sleep(1000)\n"
    with functions({"slow/index.py": slow, "slow/manifest.yaml": "kill_grace: 0s\n"}) as server:
        address = server.url.removeprefix("http://").split(":")
        with socket.create_connection((address[0], int(address[1]))) as client:
            client.sendall(b"POST /api/functions/slow HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
            until(lambda: alive(server, "slow"))
        until(lambda: not alive(server, "slow"))


@case
def a_wasm_and_a_python_function_are_served_beside_each_other():
    with functions({"py/index.py": plain}) as server:
        listed = server.get("/api/functions")[1]
        equal(([one["name"] for one in listed["functions"]], listed["count"]), (["py"], 1))
    with host(root / "examples/functions") as server:
        kinds = {one["name"]: one["runtime"] for one in server.get("/api/functions")[1]["functions"]}
        equal((kinds["hello-wasm"], kinds["hello-python"], kinds["hello-ruby"]), ("wasm", "python", "ruby"))
