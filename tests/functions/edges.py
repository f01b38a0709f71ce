"""Odd folders, odd programs, odd moments: what the other suites take for granted."""
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import urllib.parse
import urllib.request
from pathlib import Path

import saves
import support
from faults import outcome, probes
from reload import answer, developing
from support import Cases, alive, children_of, equal, folder_of, host, make_probe, root, run, until

cases = Cases()
case = cases.case


def memory(server, field):
    """A figure of the host's memory in KiB: VmRSS, or VmHWM for its highest so far."""
    for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise AssertionError(field)


def post_raw(server, path, body=b"{}"):
    """An open connection that has sent a whole request."""
    address = urllib.parse.urlsplit(server.url)
    client = socket.create_connection((address.hostname, address.port))
    client.sendall(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
    return client


@case
def a_folder_that_cannot_be_read_is_an_error():
    with folder_of({"hello/index.sh": "#!/bin/sh\n"}) as folder:
        folder.chmod(0)
        words = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
        try:
            done = subprocess.run([*words, support.binary, "serve", folder, "--port", "0"], capture_output=True, text=True, timeout=600, cwd=folder.parent,
                                  env={"PATH": os.environ["PATH"], "HOME": str(folder.parent), "XDG_STATE_HOME": str(folder.parent / "state")})
        finally:
            folder.chmod(0o755)
        equal(done.returncode, 66, done.stderr)
        assert str(folder) in done.stderr and "ermission denied" in done.stderr, done.stderr


@case
def a_function_need_not_read_its_request():
    with probes({"probe": "env: {PROBE_ONE_BYTE: \"1\"}\n"}, "functions: {max_body: 8mb}\n") as server:
        for size in (10, 1 << 20, 4 << 20):
            status, found = server.call("probe", {"text": "y" * size})
            equal((status, found.get("output")), (200, "done"), size)


@case
def narrower_runtime_arguments_hold():
    read = "console.log(JSON.stringify({success: true, output: Deno.readTextFileSync(new URL('./data.txt', import.meta.url)).trim()}));\n"
    files = {}
    for name, words in (("narrow", "[run, --allow-env]"), ("wide", "[run, -A]")):
        files |= {f"{name}/index.ts": read, f"{name}/data.txt": "content\n", f"{name}/manifest.yaml": f"runtime: deno\nruntime_args: {words}\ntimeout: 15m\n"}
    with folder_of(files) as folder, host(folder, project="functions: {expose_debug: true}\n") as server:
        equal(server.call("wide")[1].get("output"), "content")
        status, found = server.call("narrow")
        equal((status, found["error"]["code"] in ("FUNCTION_ERROR", "EXIT_NONZERO")), (500, True), found)
        assert "NotCapable" in json.dumps(found) or "PermissionDenied" in json.dumps(found), found


@case
def builds_that_hang_or_flood_are_ended():
    manifest = "runtime: sh\nentrypoint: build.sh\nbuild: {command: sh, args: [build.sh], timeout: %s, output: dist/run}\n"
    files = {"hangs/build.sh": "echo starts\nsleep 1000 & exec sleep 1000\n", "hangs/manifest.yaml": manifest % "1s",
             "floods/build.sh": "yes 0123456789abcdef | head -c 104857600\necho the end\nexit 3\n", "floods/manifest.yaml": manifest % "2m",
             "leaves/build.sh": "sleep 1000 &\nmkdir -p dist\nprintf '#!/bin/sh\\ncat >/dev/null\\necho {\\\\\"success\\\\\":true,\\\\\"output\\\\\":1}\\n' > dist/run\nchmod +x dist/run\n",
             "leaves/manifest.yaml": (manifest % "2m").replace("output: dist/run", "output: dist/run, use: output")}
    with folder_of(files) as folder, host(folder, verb=("fn", "dev")) as server:
        status, found = server.call("hangs")
        equal((status, found["error"]["code"]), (503, "BUILD_FAILED"))
        before = memory(server, "VmRSS")
        status, found = server.call("floods")
        equal((status, found["error"]["code"]), (503, "BUILD_FAILED"))
        assert "the end" in found["error"]["message"] and len(found["error"]["message"]) < 1 << 20, found["error"]["message"][:200]
        assert memory(server, "VmHWM") < before + (64 << 10), "the output of a build was kept whole"
        equal(server.call("leaves")[1].get("output"), 1)
        until(lambda: not [pid for pid in children_of(server.process.pid)])
        until(lambda: not [one for one in Path("/proc").iterdir() if one.name.isdigit() and _in_folder(one, folder)])


def _in_folder(entry, folder):
    with contextlib.suppress(OSError):
        return os.readlink(entry / "cwd").startswith(str(folder))
    return False


@case
def floods_do_not_grow_the_host():
    with probes({"probe": "timeout: 15m\n", "small": "limits: {output: 1mb}\n"}, env={"BERTH_LOG_LEVEL": "error"}) as server:
        for name in ("probe", "small"):
            equal(outcome(server, name, do="answer")[:2], (200, "ok"))
        before = max(memory(server, "VmHWM"), memory(server, "VmRSS"))
        equal(outcome(server, do="flood-errors", n=1024)[:2], (200, "ok"))
        assert memory(server, "VmHWM") - before < 8 << 10, (before, memory(server, "VmHWM"))
        equal(outcome(server, "small", do="flood")[:2], (500, "OUTPUT_TOO_LARGE"))
        assert memory(server, "VmHWM") - before < 16 << 10, (before, memory(server, "VmHWM"))


@case
def runtimes_fit_in_their_memory():
    hello = {"node": ("index.js", "console.log(JSON.stringify({success: true, output: 1}));\n"), "deno": ("index.ts", "console.log(JSON.stringify({success: true, output: 1}));\n"), "bun": ("index.ts", "console.log(JSON.stringify({success: true, output: 1}));\n"),
             "go": ("main.go", "package main\n\nimport \"fmt\"\n\nfunc main() { fmt.Println(`{\"success\":true,\"output\":1}`) }\n")}
    files = {}
    for name, (entry, text) in hello.items():
        files |= {f"{name}/{entry}": text, f"{name}/manifest.yaml": f"runtime: {name}\nmemory: 256mb\ntimeout: 3m\nqueue_timeout: 5m\n"}
        if name == "go":
            files |= {f"warm/{entry}": text, "warm/manifest.yaml": "runtime: go\ntimeout: 3m\n"}
    with folder_of(files) as folder, host(folder) as server:
        equal(server.call("warm")[1].get("output"), 1)  # the compiler itself may need more
        for name in hello:
            equal(server.call(name)[1].get("output"), 1, name)


@case
def output_cut_by_an_early_exit_is_named():
    files = {"cut/index.js": "console.log(JSON.stringify({success: true, output: 'x'.repeat(4000000)}));\nprocess.exit(0);\n",
             "whole/index.js": "console.log(JSON.stringify({success: true, output: 'x'.repeat(4000000)}));\n"}
    with folder_of(files) as folder, host(folder, project="functions: {expose_debug: true}\n") as server:
        status, found = server.call("cut")
        equal((status, found["error"]["code"], found["error"]["details"]["reason"]), (500, "INVALID_OUTPUT", "truncated"))
        assert "process.exit" in json.dumps(found["error"]), found["error"]
        status, found = server.call("whole")
        equal((status, len(found.get("output", ""))), (200, 4_000_000))


@case
def entries_arguments_and_folders_of_any_name():
    show = "import json, os, sys\nsys.stdin.read()\nprint(json.dumps({'success': True, 'output': [os.getcwd(), sys.argv]}))\n"
    with tempfile.TemporaryDirectory(prefix="berth-edge-") as temporary:
        odd = Path(temporary) / "a b'c\"d\\e\nf $(id) ü" / "functions"
        for name, entry, more in (("inside", "src/index.py", ""), ("dash", "-x.py", ""), ("words", "index.py", "args: [\"a b\", \"$HOME\", \"`id`\", \"x;y\", \"ü\", \"\"]\n")):
            (odd / name / entry).parent.mkdir(parents=True)
            (odd / name / entry).write_text(show)
            (odd / name / "manifest.yaml").write_text(f"entrypoint: \"{entry}\"\nruntime: python\n{more}")
        with host(odd) as server:
            for name, words in (("inside", ["./src/index.py"]), ("dash", ["./-x.py"]), ("words", ["./index.py", "a b", "$HOME", "`id`", "x;y", "ü", ""])):
                status, found = server.call(name)
                equal((status, found.get("output")), (200, [str(odd / name), words]), name)


@case
def nothing_of_a_request_is_interpreted():
    show = "import json, sys\nprint(json.dumps({'success': True, 'output': json.load(sys.stdin)['input']}))\n"
    with folder_of({"echo/index.py": show}) as folder, host(folder) as server:
        mark = folder.parent / "mark"
        for text in (f"; touch {mark}", f"$(touch {mark})", f"`touch {mark}`", f"| touch {mark}", f"\n touch {mark}\n", "../../etc/passwd", "%2e%2e/%2e%2e", "\0", "'\"\\", "${HOME}", "{{1+1}}", "%s%n"):
            equal(server.call("echo", {"text": text, text: 1})[1].get("output"), {"text": text, text: 1})
        for name in ("..%2fecho", "%2e%2e", "echo%00", "echo;id", "$(id)", "echo%0a", ".%2e/echo", "echo%2f..%2fecho", "echo/../echo", "ECHO%20", "-x", "%zz", "%c0%ae%c0%ae"):
            status, _, _ = server.request("POST", f"/api/functions/{name}", b"{}", {"Content-Type": "application/json"})
            assert status in (400, 404), (name, status)
        assert not mark.exists()


@case
def no_more_trees_live_than_there_may_be():
    with probes({"probe": "timeout: 100ms\nkill_grace: 50ms\nqueue_timeout: 5m\nconcurrency_queue: 1000\n"}, "functions: {max_concurrency: 16}\n") as server:
        most, codes, done = [0], [], threading.Event()

        def watch():
            while not done.is_set():
                most[0] = max(most[0], len(children_of(server.process.pid)))

        def work():
            for _ in range(12):
                codes.append(outcome(server, do="ignore-term")[1])
        watcher = threading.Thread(target=watch)
        watcher.start()
        threads = [threading.Thread(target=work) for _ in range(24)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        done.set()
        watcher.join()
        equal((len(codes), set(codes)), (288, {"TIMEOUT"}))
        assert 0 < most[0] <= 16, most


@case
def clients_that_go_while_waiting_never_start_and_finish_means_finish():
    wait = "import os, sys, time\nopen(os.environ['MARK'] + '-' + str(os.getpid()), 'w').close()\nwhile not os.path.exists(os.environ['MARK'] + '-go'):\n    time.sleep(0.01)\nprint('{\"success\":true,\"output\":1}')\n"
    with tempfile.TemporaryDirectory(prefix="berth-mark-") as marks:
        manifest = f"env: {{MARK: {marks}/m}}\nqueue_timeout: 5m\ntimeout: 5m\n"
        with folder_of({"one/index.py": wait, "one/manifest.yaml": manifest + "concurrency: 1\n", "finish/index.py": wait, "finish/manifest.yaml": manifest.replace("/m}", "/f}") + "on_disconnect: finish\n"}) as folder, host(folder, verb=("fn", "dev")) as server:
            first = post_raw(server, "/api/functions/one")
            until(lambda: len(list(Path(marks).glob("m-*"))) == 1)
            with post_raw(server, "/api/functions/one"):
                until(lambda: 'berth_calls_queued{function="one"} 1' in server.request("GET", "/metrics")[1].decode())
            until(lambda: 'berth_calls_queued{function="one"} 0' in server.request("GET", "/metrics")[1].decode())
            with post_raw(server, "/api/functions/finish"):
                until(lambda: len(list(Path(marks).glob("f-*"))) == 1)
            until(lambda: server.get("/api/executions?function_id=finish")[1]["count"] == 1)
            assert alive(server, "finish"), "it ended with its client"
            Path(marks, "m-go").touch()
            Path(marks, "f-go").touch()
            until(lambda: server.get("/api/executions?function_id=finish&status=success")[1]["count"] == 1)
            assert b"200 OK" in first.recv(4096)
            first.close()
            equal(len(list(Path(marks).glob("m-[0-9]*"))), 1)


@case
def functions_alone_have_nothing_of_wasm():
    """A server of discovery, process engine, runtime and the front of functions serves; its link map names nothing else."""
    program = support.binary.parent.parent / "tests/functions/fn_only"
    members = set(re.findall(r"([\w./-]+\.a)\(([\w.-]+)\)", program.with_name("fn_only.map").read_text()))
    assert any("libberth_process.a" in archive for archive, _ in members), "the link map names its archives"
    foreign = re.compile(r"wasm|component|engine|LLVM|native", re.I)
    equal(sorted(f"{archive}({member})" for archive, member in members if "/berth/" in archive and foreign.search(f"{Path(archive).name} {member}") and member != "engine.cpp.o"), [], "linked")
    # The archive of the engine is asked for a routine of the compiler, where that has none of its own.
    equal([member for archive, member in members if "native" in archive and "popcount" not in member], [])
    # Of the code that runs guests there is the journal only, which records what crosses the boundary of a process.
    equal(sorted({member for archive, member in members if Path(archive).name in ("libberth_host.a", "libberth_engine.a")}), ["beneath.cpp.o", "journal.cpp.o", "journal_entry.cpp.o"])
    needed = subprocess.run(["readelf", "-d", program], capture_output=True, text=True, check=True).stdout
    assert not re.search(r"wasm|LLVM", needed), needed
    for file in (root / "src/berth/process").rglob("*.[ch]pp"):
        for line in file.read_text().splitlines():
            found = re.match(r'#include "(berth/[a-z_/]+)/', line)
            assert not found or found.group(1).split("/")[1] in ("process", "async", "base", "telemetry"), f"{file}: {line}"
            assert not re.match(r"#include <(wasm|wasmtime|llvm)", line), f"{file}: {line}"
            assert file.name.endswith("_test.cpp") or not re.search(r"\b(popen|system)\(|\"-c\"", line), f"{file}: {line}"
    with folder_of({"hello/index.py": "import json, sys\nprint(json.dumps({'success': True, 'output': json.load(sys.stdin)['input']}))\n"}) as folder:
        server = subprocess.Popen([program, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        url = server.stdout.readline().strip().removeprefix("Listening on ")
        with urllib.request.urlopen(urllib.request.Request(url + "/api/functions/hello", b'{"n":1}', {"Content-Type": "application/json"})) as answer:
            equal(json.loads(answer.read())["output"], {"n": 1})
        server.communicate()
        equal(server.returncode, 0)


@case
def what_runs_when_the_host_ends_may_finish():
    wait = "import os, sys, time\nopen(os.environ['MARK'] + '-started', 'w').close()\nwhile not os.path.exists(os.environ['MARK'] + '-go'):\n    time.sleep(0.01)\nopen(os.environ['MARK'] + '-done', 'w').close()\nprint('{\"success\":true,\"output\":1}')\n"
    with tempfile.TemporaryDirectory(prefix="berth-mark-") as marks:
        files = {}
        for name in ("sync", "async"):
            files |= {f"{name}/index.py": wait, f"{name}/manifest.yaml": f"env: {{MARK: {marks}/{name}}}\ntimeout: 5m\n"}
        with folder_of(files) as folder, host(folder, project="server: {grace: 5m}\n") as server:
            answers = []
            thread = threading.Thread(target=lambda: answers.append(server.call("sync")))
            thread.start()
            equal(server.request("POST", "/api/functions/async?async=1", b"{}", {"Content-Type": "application/json"})[0], 202)
            until(lambda: Path(marks, "sync-started").exists() and Path(marks, "async-started").exists())
            server.process.send_signal(signal.SIGTERM)
            Path(marks, "sync-go").touch()
            Path(marks, "async-go").touch()
            thread.join()
            equal(answers[0][0], 200)
            equal(server.process.wait(timeout=600), 0)
            assert Path(marks, "async-done").exists()
            until(lambda: not alive(server, "sync") and not alive(server, "async"))


@case
def more_ways_to_save_are_one_change_each():
    with developing({"hello/index.py": answer("0")}) as server:
        entry = server.folder / "hello/index.py"
        for i, save in enumerate([saves.with_hard_link_backup, saves.with_lock, saves.with_swap, saves.in_small_writes] * 5, 1):
            save(entry, answer(str(i)))
            until(lambda: server.call("hello")[1].get("output") == str(i))
        assert not any("invalid" in line for line in server.out), server.out


@case
def a_large_checkout_is_seen_whole():
    with developing({"first/index.py": answer("1")}) as server:
        for i in range(500):
            folder = server.folder / f"many{i}"
            folder.mkdir()
            for j in range(9):
                (folder / f"part{j}.py").write_text("")
            (folder / "index.py").write_text(answer(str(i)))
        until(lambda: server.get("/api/functions")[1]["count"] == 501)
        equal(server.call("many499")[1]["output"], "499")
        for i in range(0, 500, 2):
            shutil.rmtree(server.folder / f"many{i}")
        until(lambda: server.get("/api/functions")[1]["count"] == 251)
        listed = {one["name"] for one in server.get("/api/functions")[1]["functions"]}
        equal(listed, {"first"} | {f"many{i}" for i in range(1, 500, 2)})


@case
def a_program_that_runs_may_be_built_anew():
    build = "cc -O0 -o dist/new.tmp main.c && mv dist/new.tmp dist/run\n"
    # The first to run waits for its mark.
    text = '#include <stdio.h>\n#include <stdlib.h>\n#include <unistd.h>\nint main(void) { char mark[4096]; snprintf(mark, sizeof mark, "%%s-started", getenv("MARK")); const int first = access(mark, F_OK); fclose(fopen(mark, "w"));\n' \
           'snprintf(mark, sizeof mark, "%%s-go", getenv("MARK")); while (first && access(mark, F_OK)) usleep(10000); puts("{\\"success\\":true,\\"output\\":%d}"); return 0; }\n'
    with tempfile.TemporaryDirectory(prefix="berth-mark-") as marks:
        manifest = f"runtime: sh\nentrypoint: build.sh\ntimeout: 5m\nenv: {{MARK: {marks}/m}}\nbuild: {{command: sh, args: [build.sh], watch: [main.c], output: dist/run, use: output}}\n"
        with developing({"made/build.sh": "mkdir -p dist\n" + build, "made/main.c": text % 0, "made/manifest.yaml": manifest}) as server:
            found = []
            thread = threading.Thread(target=lambda: found.append(server.call("made")))
            thread.start()
            until(lambda: Path(marks, "m-started").exists())
            for i in range(1, 4):
                (server.folder / "made/main.c").write_text(text % i)
                until(lambda: server.call("made")[1].get("output") == i)
            Path(marks, "m-go").touch()
            thread.join()
            equal((found[0][0], found[0][1].get("output")), (200, 0))


@case
def what_a_program_printed_is_shown_only_to_those_who_may_see():
    with probes({"probe": ""}) as server:
        status, _, found = outcome(server, do="garbage")
        equal((status, found["error"]["code"]), (500, "INVALID_OUTPUT"))
        assert "Hello world" not in json.dumps(found), found
    with probes({"probe": ""}, verb=("fn", "dev")) as server:
        status, _, found = outcome(server, do="garbage")
        assert "Hello world" in json.dumps(found), found
        record = server.get("/api/executions?function_id=probe")[1]["executions"][0]
        assert "Hello world" in json.dumps(record), record


@case
def the_doctor_finds_groups_of_dead_hosts():
    with tempfile.TemporaryDirectory(prefix="berth-edge-") as temporary:
        _, out, _ = run("doctor", cwd=temporary)
        below = [line.split("control groups below ")[1].split()[0] for line in out.splitlines() if "control groups below " in line]
        if not below:
            assert "by process group:" in out, out
            return
        gone = subprocess.Popen(["true"])
        gone.wait()
        leaf = Path(below[0]) / f"berth-fn-{gone.pid}-7"
        leaf.mkdir()
        status, out, _ = run("doctor", cwd=temporary)
        equal(status, 1)
        assert any("problem" in line and "leaves" in line and str(leaf) in line for line in out.splitlines()), out
        _, out, _ = run("doctor", "--fix", cwd=temporary)
        assert any("fixed" in line and "leaves" in line for line in out.splitlines()), out
        assert not leaf.exists()
