#!/usr/bin/env python3
"""Starts `berth serve` on free ports and looks at it as clients do. Prints a line a failure and last `N passed, N failed`."""
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from pathlib import Path

import admin  # noqa: F401: their cases join the list
import called  # noqa: F401
import durable  # noqa: F401
import explain  # noqa: F401
import front  # noqa: F401
import refusals  # noqa: F401
import rows  # noqa: F401
import sockets  # noqa: F401
import waits  # noqa: F401
from harness import binary, case, cases, equal, get, large_module, post, root, running, serving

out_file = Path(sys.argv[2])


@case
def first_line_is_the_address_and_the_examples_answer():
    with serving(str(root / "examples/functions"), "--port", "0") as server:
        assert re.fullmatch(r"Listening on http://127\.0\.0\.1:\d+\n", server.first_line), server.first_line
        status, text, _ = post(server.url + "/api/functions/hello-wasm", '{"name":"Ada"}')
        equal((status, json.loads(text)), (200, {"greeting": "Hello, Ada!"}))
        status, text, _ = post(server.url + "/api/functions/hello-python", '{"name":"Ada"}')
        answer = json.loads(text)
        equal((status, answer["success"], answer["output"]), (200, True, {"message": "Hello, Ada!", "runtime": "python"}))


@case
def health_metrics_and_unknown_routes():
    with serving(str(root / "examples/functions"), "--port", "0") as server:
        equal(get(server.url + "/health/live")[0], 200)
        equal(get(server.url + "/ready")[0], 200)
        equal(json.loads(get(server.url + "/health")[1])["status"], "ok")
        post(server.url + "/api/functions/hello-wasm", "{}")
        text = get(server.url + "/metrics")[1]
        assert 'berth_calls_total{function="hello-wasm",engine="wasm",outcome="ok"} 1\n' in text, text
        assert 'berth_host_calls_total{world="wasi",function="fd_read",outcome="ok"} 1\n' in text, text
        equal(get(server.url + "/nothing")[0], 404)
        equal(get(server.url + "/api/functions/hello-wasm/x")[0], 404)
        equal(post(server.url + "/health", "{}")[0], 405)
        equal(post(server.url + "/api/functions/none", "{}")[0], 404)


@case
def every_call_is_recorded_and_replays():
    with tempfile.TemporaryDirectory(prefix="berth-record-") as folder:
        with serving(str(root / "examples/functions"), "--port", "0", "--record", folder) as server:
            for name in ("hello-wasm", "hello-python"):
                equal(post(server.url + f"/api/functions/{name}", '{"name":"Ada"}')[0], 200)
        journals = sorted(Path(folder).glob("*.bj"))
        equal(len(journals), 2)
        environment = {"PATH": os.environ["PATH"], "HOME": folder}
        worlds = set()
        for journal in journals:
            shown = subprocess.run([binary, "trace", "show", journal], capture_output=True, text=True, env=environment)
            world = json.loads(shown.stdout.splitlines()[0])["world"]
            worlds.add(world)
            if world == "wasi":
                replayed = subprocess.run([binary, "replay", journal], capture_output=True, text=True, env=environment)
                equal((replayed.returncode, "Hello, Ada" in replayed.stdout), (0, True))
        equal(worlds, {"wasi", "subprocess"})


@case
def receipts_of_served_calls_hold_on_another_machine():
    with tempfile.TemporaryDirectory(prefix="berth-receipts-") as folder:
        home, receipts, journals = Path(folder) / "signer", Path(folder) / "receipts", Path(folder) / "journals"
        home.mkdir()
        environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8"}
        with serving(str(root / "examples/functions"), "--port", "0", "--receipt", str(receipts)) as server:
            equal(server.wait(timeout=600), 66)  # nobody could sign
        key = subprocess.run([binary, "keygen", "--no-passphrase", str(home / "a.key")], capture_output=True, text=True, env=environment)
        equal(key.returncode, 0)
        did = key.stdout.strip()
        with serving(str(root / "examples/functions"), "--port", "0", "--receipt", str(receipts), "--record", str(journals), "--key", str(home / "a.key")) as server:
            for name in ("hello-wasm", "hello-python"):
                equal(post(server.url + f"/api/functions/{name}", '{"name":"Ada"}')[0], 200)
            text = get(server.url + "/metrics")[1]
            assert 'berth_receipts_total{world="wasi"} 1\n' in text, text
        found = sorted(receipts.glob("*.receipt"))
        equal(len(found), 2)
        # Another machine: another home with no key and no cache, another preset's binary where there is one.
        builds = [binary, *sorted(each for each in binary.parent.parent.parent.glob("*/bin/berth") if each.resolve() != binary)]
        other = {"PATH": os.environ["PATH"], "HOME": str(Path(folder) / "verifier"), "LC_ALL": "C.UTF-8"}
        worlds = set()
        for receipt in found:
            journal = journals / (receipt.stem + ".bj")
            shown = json.loads(subprocess.run([binary, "verify-receipt", receipt, "--signer", did, "--json"], capture_output=True, text=True, env=other).stdout)
            worlds.add(shown["world"])
            if shown["world"] != "wasi":
                continue
            module = next((journals / "modules").glob("*.wasm"))
            for build in builds:
                words = [build, "verify-receipt", receipt, "--rerun", "--journal", journal, "--module", module]
                again = subprocess.run(words, capture_output=True, text=True, env=other)
                assert again.returncode == 0 and "ran again" in again.stdout, (build, again.stdout, again.stderr)
            wrong = subprocess.run([*words, "--allow", "fs.read=x"], capture_output=True, text=True, env=other)
            assert wrong.returncode == 76 and "policy" in wrong.stderr, wrong.stderr
            block = bytearray(receipt.read_bytes())
            block[len(block) // 2] ^= 1
            receipt.write_bytes(block)
            equal(subprocess.run([binary, "verify-receipt", receipt], capture_output=True, env=other).returncode, 65)
        equal(worlds, {"wasi", "subprocess"})


@case
def a_function_may_ask_for_receipts_itself():
    with tempfile.TemporaryDirectory(prefix="berth-receipts-") as folder:
        functions, receipts = Path(folder) / "functions", Path(folder) / "receipts"
        functions.mkdir()
        guest = (root / "examples/functions/hello-wasm/main.wat").read_text()
        for name in ("plain", "asks"):
            (functions / f"{name}.wat").write_text(guest)
        (functions / "asks.yaml").write_text("receipts: true\n")
        with serving(str(functions), "--port", "0") as server:
            equal(post(server.url + "/api/functions/plain", "{}")[0], 200)
            status, text, *_ = post(server.url + "/api/functions/asks", "{}")
            assert status >= 500, (status, text)
        environment = {"PATH": os.environ["PATH"], "HOME": folder}
        equal(subprocess.run([binary, "keygen", "--no-passphrase", f"{folder}/a.key"], capture_output=True, env=environment).returncode, 0)
        with serving(str(functions), "--port", "0", "--set", f"functions.receipts_dir={receipts}", "--key", f"{folder}/a.key") as server:
            for name in ("plain", "asks"):
                equal(post(server.url + f"/api/functions/{name}", "{}")[0], 200)
        equal(len(list(receipts.glob("*.receipt"))), 1)


@case
def pooled_instances_serve_several_calls_and_go_after_a_fault():
    guest = """(module (global $n (mut i32) (i32.const 0))
      (func (export "next") (param i32) (result i32)
        (if (i32.eqz (local.get 0)) (then (unreachable)))
        (global.set $n (i32.add (global.get $n) (i32.const 1))) (global.get $n)))"""
    with tempfile.TemporaryDirectory(prefix="berth-pooled-") as folder:
        (Path(folder) / "count.wat").write_text(guest)
        (Path(folder) / "count.yaml").write_text("entry: next\n")
        (Path(folder) / "command.wat").write_text('(module (memory (export "memory") 1) (func (export "_start")))')

        def calls(server, *inputs):
            return [post(server.url + "/api/functions/count", each) for each in inputs]

        with serving(folder, "--port", "0") as server:
            equal([answer[1] for answer in calls(server, "[1]", "[1]")], ["1", "1"])
        with serving(folder, "--port", "0", "--set", "functions.isolation=pooled", "--set", "functions.pooled_calls=3") as server:
            equal([answer[1] for answer in calls(server, "[1]", "[1]", "[1]", "[1]")], ["1", "2", "3", "1"])
            assert calls(server, "[0]")[0][0] >= 500
            equal(calls(server, "[1]")[0][1], "1")
            assert post(server.url + "/api/functions/command", "{}")[0] >= 400  # a command cannot be entered twice
        assert any("a command has a fresh instance" in line for line in server.errors), server.errors


@case
def calls_of_one_instance_are_recorded_one_behind_the_other_and_replay_with_what_they_left():
    # The first call of an instance draws a number and keeps it; what later ones answer depends on it.
    guest = """(module
      (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1) (data (i32.const 16) "\\20\\00\\00\\00\\05\\00\\00\\00") (data (i32.const 32) "said\\0a")
      (global $n (mut i32) (i32.const 0))
      (func (export "next") (param i32) (result i32)
        (if (i32.eqz (local.get 0)) (then (unreachable)))
        (if (i32.eqz (global.get $n)) (then (drop (call $random (i32.const 0) (i32.const 2)))))
        (drop (call $write (i32.const 2) (i32.const 16) (i32.const 1) (i32.const 64)))
        (if (i32.eq (local.get 0) (i32.const 7)) (then (drop (memory.grow (i32.const 3)))))
        (global.set $n (i32.add (global.get $n) (i32.const 1)))
        (i32.add (i32.load (i32.const 0)) (global.get $n))))"""
    with tempfile.TemporaryDirectory(prefix="berth-kept-") as folder:
        home = {"PATH": os.environ["PATH"], "HOME": folder}

        def berth(*words):
            return subprocess.run([binary, *map(str, words)], capture_output=True, text=True, env=home)

        (Path(folder) / "functions").mkdir()
        (Path(folder) / "functions/draw.wat").write_text(guest)
        (Path(folder) / "functions/draw.yaml").write_text("entry: next\n")
        journals, receipts = Path(folder) / "journals", Path(folder) / "receipts"
        receipts.mkdir()
        assert berth("keygen", "--no-passphrase", f"{folder}/key").returncode == 0
        with serving(f"{folder}/functions", "--port", "0", "--isolation", "pooled", "--set", "functions.pooled_calls=3", "--record", str(journals), "--receipt", str(receipts), "--key", f"{folder}/key",
                     "--allow", "random", env=home) as server:
            calls = [post(server.url + "/api/functions/draw", body) for body in ("[1]", "[7]", "[1]", "[1]", "[0]", "[1]")]
        equal([status for status, _, _ in calls], [200, 200, 200, 200, 500, 200])
        ids = [{name.lower(): value for name, value in headers.items()}["x-request-id"] for _, _, headers in calls]  # nobody sent another
        numbers = [int(text) if status == 200 else 0 for status, text, _ in calls]
        equal([numbers[1] - numbers[0], numbers[2] - numbers[0]], [1, 2])  # the fourth came into the next instance, the sixth into a third

        def opened(call):
            shown = berth("trace", "show", journals / f"{call}.bj")
            return json.loads(shown.stdout.splitlines()[0])

        equal([opened(call).get("before", {}).get("name") for call in ids], [None, ids[0], ids[1], None, ids[3], None])
        for call, (status, _, _), earlier in zip(ids, calls, (0, 1, 2, 0, 1, 0)):
            played = berth("replay", journals / f"{call}.bj", "--format", "json")
            assert played.returncode in (0, 134), played.stderr
            document = json.loads(played.stdout)
            equal((document["earlier_calls"], document["complete"], document["code"]), (earlier, True, "ok" if status == 200 else "trap"))
            checked = berth("verify-receipt", receipts / f"{call}.receipt", "--journal", journals / f"{call}.bj", "--rerun")
            equal((checked.returncode, checked.stderr), (0, ""))
        # Each journal holds by the ones before it.
        stepped = berth("replay", journals / f"{ids[2]}.bj", "--step")
        assert "replayed the 2 calls before it in the same instance" in stepped.stderr, stepped.stderr
        first = journals / f"{ids[0]}.bj"
        kept = first.read_bytes()
        first.write_bytes((journals / f"{ids[3]}.bj").read_bytes())
        other = berth("replay", journals / f"{ids[2]}.bj")
        assert "journal_mismatch" in other.stderr and ids[0] in other.stderr, other.stderr
        first.unlink()
        missing = berth("verify-receipt", receipts / f"{ids[1]}.receipt", "--journal", journals / f"{ids[1]}.bj", "--rerun")
        assert missing.returncode != 0 and "the call before it in the same instance is not there" in missing.stderr, missing.stderr
        first.write_bytes(kept)
        equal(berth("replay", journals / f"{ids[2]}.bj").returncode, 0)
        # Where only receipts are written the roots are those of whole chains as well, and calls without either have their own instances.
        (Path(folder) / "functions/draw.yaml").write_text("entry: next\nreceipts: true\n")
        with serving(f"{folder}/functions", "--port", "0", "--isolation", "pooled", "--set", f"functions.receipts_dir={receipts}", "--key", f"{folder}/key", "--allow", "random", env=home) as server:
            answers = [int(post(server.url + "/api/functions/draw", "[1]")[1]) for _ in range(3)]
        equal([answers[1] - answers[0], answers[2] - answers[0]], [1, 2])
        equal(len(list(receipts.glob("*.receipt"))), 9)


@case
def a_policy_that_is_widened_reaches_no_instance_that_runs():
    guest = """(module
      (import "wasi_snapshot_preview1" "clock_time_get" (func $now (param i32 i64 i32) (result i32))) (memory (export "memory") 1)
      (func (export "now") (result i32) (call $now (i32.const 0) (i64.const 0) (i32.const 64))))"""
    with tempfile.TemporaryDirectory(prefix="berth-widened-") as folder:
        functions, policy = Path(folder) / "functions", Path(folder) / "policy.yaml"
        functions.mkdir()
        (functions / "clock.wat").write_text(guest)
        (functions / "clock.yaml").write_text("entry: now\n")
        policy.write_text("policy: 1\ngrants: {}\n")
        with serving(str(functions), "--port", "0", "--policy", str(policy), "--set", "functions.isolation=pooled") as server:
            equal(post(server.url + "/api/functions/clock", "[]")[1], "76")
            policy.write_text("policy: 1\ngrants: {time.now: {}}\n")
            equal(post(server.url + "/api/functions/clock", "[]")[1], "76")
        with serving(str(functions), "--port", "0", "--policy", str(policy)) as server:
            equal(post(server.url + "/api/functions/clock", "[]")[1], "0")


@case
def credentials_of_the_environment_are_shown_nowhere():
    guest = """(module
      (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
      (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32))) (memory (export "memory") 1)
      (data (i32.const 0) "\\00\\02\\00\\00\\30\\00\\00\\00")
      (func (export "_start")
        (drop (call $environ (i32.const 256) (i32.const 512)))
        (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 64)))))"""
    with tempfile.TemporaryDirectory(prefix="berth-credentials-") as folder:
        (Path(folder) / "tells.wat").write_text(guest)
        with serving(folder, "--port", "0", "--env", "DB_PASSWORD=correct-horse-battery", "--allow", "log.write") as server:
            equal(post(server.url + "/api/functions/tells", "{}")[0], 200)
            shown = get(server.url + "/metrics")[1]
        text = "".join(server.errors) + shown
        assert "correct-horse" not in text, text
        assert "[redacted:DB_PASSWORD]" in text, text


@case
def ports_come_from_flag_then_environment():
    with serving(str(root / "examples/functions/hello-wasm/main.wat"), env={"PORT": "0"}) as server:
        assert server.url.startswith("http://127.0.0.1:"), server.first_line
    with serving(str(root / "examples/functions/hello-wasm/main.wat"), "--port", "0", env={"PORT": "1"}) as server:
        assert server.url.startswith("http://127.0.0.1:") and not server.url.endswith(":1"), server.first_line
    with serving(str(root / "examples/functions/hello-wasm/main.wat"), env={"PORT": "0", "K_SERVICE": "x"}) as server:
        assert server.url.startswith("http://0.0.0.0:"), server.first_line
    with serving(str(root / "examples/functions/hello-wasm/main.wat"), env={"PORT": "99999"}) as server:
        equal(server.first_line, "")
        equal(server.wait(timeout=600), 78)


@case
def taken_port_is_71_and_names_the_holder():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        port = holder.getsockname()[1]
        with serving(str(root / "examples/functions/hello-wasm/main.wat"), "--port", str(port)) as server:
            equal(server.first_line, "")
            equal(server.wait(timeout=600), 71)
        text = "".join(server.errors)
        assert "cannot_bind" in text and str(port) in text and str(os.getpid()) in text, text


@case
def interrupt_ends_with_130_and_terminate_with_0():
    for number, expected in ((signal.SIGINT, 130), (signal.SIGTERM, 0)):
        with serving(str(root / "examples/functions"), "--port", "0") as server:
            server.send_signal(number)
            equal(server.wait(timeout=600), expected)


@case
def an_interrupted_run_ends_with_130_and_leaves_nothing():
    # It has written its line when the signal comes, so the guest runs.
    endless = """(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1) (data (i32.const 8) "\\10\\00\\00\\00\\02\\00\\00\\00x\\n")
      (func (export "_start") (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 0))) (loop $l br $l)))"""
    for number, expected in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        with tempfile.TemporaryDirectory(prefix="berth-run-") as home:
            module = Path(home) / "endless.wat"
            module.write_text(endless)
            with running("--no-cache", str(module), home=home) as process:
                equal(process.stdout.readline(), b"x\n")
                process.send_signal(number)
                equal(process.wait(timeout=600), expected)
            equal(os.listdir(home), ["endless.wat"])


@case
def an_interrupt_while_the_compiler_works_ends_the_run_at_once():
    with tempfile.TemporaryDirectory(prefix="berth-run-") as home:
        module = Path(home) / "large.wasm"
        module.write_bytes(large_module(30000))
        with running("--no-cache", str(module), home=home) as process:
            assert process.stderr.readline().startswith(b"compiling 18."), "no progress line"
            process.send_signal(signal.SIGINT)
            equal(process.wait(timeout=600), 130)
        equal(os.listdir(home), ["large.wasm"])


@case
def large_modules_are_compiled_apart_within_their_time():
    with tempfile.TemporaryDirectory(prefix="berth-large-") as folder:
        (Path(folder) / "functions").mkdir()
        (Path(folder) / "functions/large.wasm").write_bytes(large_module(2000))
        (Path(folder) / "tmp").mkdir()
        with serving(str(Path(folder) / "functions"), "--port", "0", env={"TMPDIR": str(Path(folder) / "tmp")}) as server:
            equal(post(server.url + "/api/functions/large", "")[0], 200)
        equal(os.listdir(Path(folder) / "tmp"), [])
        with serving(str(Path(folder) / "functions"), "--port", "0", "--no-cache", "--limit", "load=1ns") as server:
            status, text, _ = post(server.url + "/api/functions/large", "")
            equal((status, json.loads(text)["error"]["code"].lower()), (500, "function_invalid"))
        text = "".join(server.errors)
        assert "load_timeout" in text, text


@case
def limits_and_traps_have_their_status_and_the_host_lives():
    kit = str(root / "tests/cli/fixtures/kit")
    with serving(kit, "--port", "0", "--timeout", "50ms") as server:  # only what never ends is called here
        for _ in range(2):
            status, text, _ = post(server.url + "/api/functions/spin", "")
            equal((status, json.loads(text)["error"]["code"]), (504, "timeout"))
        text = get(server.url + "/metrics")[1]
        assert 'function="spin",engine="wasm",outcome="timeout"} 2\n' in text
    with serving(kit, "--port", "0") as server:
        status, text, _ = post(server.url + "/api/functions/trap", "")
        equal((status, json.loads(text)["error"]["code"]), (500, "trap"))
        equal(post(server.url + "/api/functions/ok", "")[0], 200)


@case
def a_wrong_module_is_listed_and_the_rest_serves():
    with serving(str(root / "tests/cli/fixtures/mixed"), "--port", "0") as server:
        status, text, _ = post(server.url + "/api/functions/broken", "{}")
        equal((status, json.loads(text)["error"]["code"].lower()), (500, "function_invalid"))
        equal(post(server.url + "/api/functions/ok", "")[0], 200)


@case
def hostile_heads_are_refused():
    heads = [
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX : y\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n",
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET / HTTP/3.0\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"\x00\x01\x02\r\n\r\n",
    ]
    with serving(str(root / "examples/functions/hello-wasm/main.wat"), "--port", "0") as server:
        port = int(server.url.rsplit(":", 1)[1])
        for head in heads:
            with socket.create_connection(("127.0.0.1", port), timeout=600) as client:
                client.sendall(head)
                client.shutdown(socket.SHUT_WR)
                answer = b""
                while part := client.recv(65536):
                    answer += part
            assert re.match(rb"HTTP/1\.1 (4\d\d|50[15])", answer), (head, answer[:80])
        equal(get(server.url + "/health/live")[0], 200)


only = sys.argv[3] if len(sys.argv) > 3 else ""
outcomes = {}
for name, function in cases.items():
    if only and only not in name:
        continue
    try:
        function()
        outcomes[name] = True
    except Exception as problem:  # every case is judged, whatever happens in it
        outcomes[name] = False
        lines = ", ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(problem.__traceback__)[1:])
        print(f"{name}: {type(problem).__name__}: {problem} ({lines})")
out_file.parent.mkdir(parents=True, exist_ok=True)
out_file.write_text(json.dumps(outcomes, indent=1))
print(f"{sum(outcomes.values())} passed, {len(outcomes) - sum(outcomes.values())} failed")
sys.exit(0 if outcomes and all(outcomes.values()) else 1)
