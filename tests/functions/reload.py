"""Hot reload: what editors do, functions that come and go, builds, and that no call fails because somebody saved a file."""
import contextlib
import hashlib
import json
import os
import shutil
import signal
import tempfile
import threading
import urllib.request
from pathlib import Path

import saves
from support import Cases, equal, folder_of, host, project_of, refusing, until

cases = Cases()
case = cases.case


def answer(text):
    return f"import json, sys\nsys.stdin.read()\nprint(json.dumps({{'success': True, 'output': {text!r}}}))\n"


@contextlib.contextmanager
def developing(files, **options):
    with folder_of(files) as folder, host(folder, verb=("fn", "dev"), **options) as server:
        server.folder = folder
        yield server


@case
def every_way_to_save_is_seen_and_no_call_fails():
    with developing({"hello/index.py": answer("0"), "hello/helper.py": ""}) as server:
        stop = threading.Event()
        failures = []

        def calls():
            while not stop.is_set():
                status, found = server.call("hello")
                if status != 200:
                    failures.append(found)
        thread = threading.Thread(target=calls)
        thread.start()
        try:
            entry = server.folder / "hello/index.py"
            for i, save in enumerate([saves.in_place, saves.by_rename] * 5, 1):
                save(entry, answer(str(i)))
                until(lambda: server.call("hello")[1].get("output") == str(i))
        finally:
            stop.set()
            thread.join()
        equal(failures, [])
        for i, save in enumerate([saves.with_backup, saves.made_anew] * 3, 11):  # the file is not there for a moment
            save(entry, answer(str(i)))
            until(lambda: server.call("hello")[1].get("output") == str(i))


@case
def a_save_without_a_change_changes_nothing():
    with developing({"hello/index.py": answer("a"), "other/index.py": answer("b")}) as server:
        version = server.get("/api/functions/hello")[1]["version"]
        equal(server.request("POST", "/api/functions/reload", "{}", {"Content-Type": "application/json"})[0], 200)  # after the look of the start, which could see half a file
        (server.folder / "hello/index.py").write_text(answer("a"))
        os.utime(server.folder / "hello/index.py")
        (server.folder / "other/index.py").write_text(answer("c"))
        until(lambda: server.call("other")[1].get("output") == "c")
        equal(server.get("/api/functions/hello")[1]["version"], version)
        assert not any("changed   hello" in line for line in server.out), server.out


@case
def a_change_says_what_it_was():
    with developing({"hello/index.py": answer("a"), "hello/manifest.yaml": "timeout: 5m\n"}) as server:
        (server.folder / "other.py").write_text(answer("c"))  # the first event
        until(lambda: server.call("other")[0] == 200)
        saved = [("index.py", answer("b")), ("manifest.yaml", "timeout: 6m\n"), ("more.txt", "more")]
        for file, text in saved:
            (server.folder / "hello" / file).write_text(text)
            until(lambda file=file: any("changed   hello" in line and file in line for line in server.out))
        asked = urllib.request.Request(f"{server.url}/api/functions/events", headers={"Last-Event-ID": "1"})
        with urllib.request.urlopen(asked, timeout=600) as stream:
            reasons = []
            while len(reasons) < len(saved):
                line = stream.readline()
                if line.startswith(b"data: ") and (event := json.loads(line[6:]))["type"] == "function.changed":
                    reasons.append(event["reasons"])
        equal(reasons, [[file] for file, _ in saved])


@case
def functions_come_go_and_are_renamed():
    with developing({"first/index.py": answer("1")}) as server:
        (server.folder / "second").mkdir()
        (server.folder / "second/index.py").write_text(answer("2"))
        until(lambda: server.call("second")[0] == 200)
        (server.folder / "second").rename(server.folder / "third")
        until(lambda: server.call("third")[0] == 200 and server.call("second")[0] == 404)
        shutil.rmtree(server.folder / "third")
        until(lambda: server.call("third")[0] == 404)
        for i in range(300):  # a tree that appears at once, as a checkout does
            (server.folder / f"many{i}").mkdir()
            (server.folder / f"many{i}/index.py").write_text(answer(str(i)))
        until(lambda: server.get("/api/functions")[1]["count"] == 301)
        equal(server.call("many299")[1]["output"], "299")


@case
def more_events_than_the_system_keeps_are_no_loss():
    with developing({"first/index.py": answer("1"), "gone/index.py": answer("1"), "first/other.txt": ""}) as server:
        most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
        server.process.send_signal(signal.SIGSTOP)  # it reads none of them
        try:
            storm = server.folder / "first/storm.txt"
            for _ in range(most // 3 + 100):  # made, closed, deleted
                storm.write_bytes(b"")
                storm.unlink()
            (server.folder / "first/index.py").write_text(answer("changed"))
            (server.folder / "late").mkdir()
            (server.folder / "late/index.py").write_text(answer("late"))
            shutil.rmtree(server.folder / "gone")
        finally:
            server.process.send_signal(signal.SIGCONT)
        until(lambda: [one["name"] for one in server.get("/api/functions")[1]["functions"]] == ["first", "late"])
        until(lambda: server.call("first")[1]["output"] == "changed")
        equal(server.call("late")[1]["output"], "late")
        (server.folder / "late/index.py").write_text(answer("later"))
        until(lambda: server.call("late")[1].get("output") == "later")


@case
def folders_are_looked_at_where_nothing_tells_of_changes():
    for problem, calls, why in (("ENOSYS", "inotify", "max_user_instances"), ("ENOSPC", "watches", "max_user_watches")):
        with refusing(problem, calls) as wrapper, developing({"first/index.py": answer("1"), "gone/index.py": answer("1")}, wrapper=wrapper) as server:
            until(lambda: any(why in line for line in server.out))
            equal(sum(why in line for line in server.out), 1)
            (server.folder / "first/index.py").write_text(answer("changed"))
            (server.folder / "late").mkdir()
            (server.folder / "late/index.py").write_text(answer("late"))
            shutil.rmtree(server.folder / "gone")
            until(lambda: [one["name"] for one in server.get("/api/functions")[1]["functions"]] == ["first", "late"])
            until(lambda: server.call("first")[1]["output"] == "changed")
            (server.folder / "late/index.py").write_text(answer("later"))
            until(lambda: server.call("late")[1].get("output") == "later")


@case
def a_wrong_manifest_is_named_and_mended():
    with developing({"hello/index.py": answer("1"), "hello/manifest.yaml": "timeout: 5m\n"}) as server:
        (server.folder / "hello/manifest.yaml").write_text("timeout: fast\n")
        until(lambda: server.call("hello")[1]["success"] is False)
        until(lambda: any("invalid   hello" in line and "manifest.yaml:1:10" in line and "[M012]" in line for line in server.out))
        (server.folder / "hello/manifest.yaml").write_text("timeout: 6m\n")
        until(lambda: server.call("hello")[0] == 200)


@case
def builds_run_when_their_inputs_change_and_calls_wait_for_them():
    build = "#!/bin/sh\necho building >&2\nif grep -q fail src.txt; then echo broken here >&2; exit 1; fi\n{ echo '#!/bin/sh'; echo 'cat >/dev/null'; echo \"echo '{\\\"success\\\":true,\\\"output\\\":\\\"$(cat src.txt)\\\"}'\"; } > out.tmp && chmod +x out.tmp && mkdir -p dist && mv out.tmp dist/run\n"
    manifest = "runtime: sh\nentrypoint: build.sh\nbuild: {command: sh, args: [build.sh], watch: [src.txt], output: dist/run, use: output}\n"
    with developing({"made/build.sh": build, "made/src.txt": "one", "made/manifest.yaml": manifest}) as server:
        equal(server.call("made")[1]["output"], "one")
        (server.folder / "made/src.txt").write_text("two")
        until(lambda: server.call("made")[1].get("output") == "two")
        (server.folder / "made/src.txt").write_text("fail")
        until(lambda: server.call("made")[1].get("error", {}).get("code") == "BUILD_FAILED")
        assert "broken here" in server.call("made")[1]["error"]["message"]
        (server.folder / "made/src.txt").write_text("three")
        until(lambda: server.call("made")[1].get("output") == "three")
        until(lambda: any("built     made" in line for line in server.out))


@case
def what_a_build_writes_beside_its_output_is_no_reason_to_build_again():
    build = "date +%s%N > stamp\ncat *.txt > dist.out\necho built >> ../../builds\n"
    manifest = "runtime: sh\nentrypoint: build.sh\nbuild: {command: sh, args: [build.sh]}\n"
    with folder_of({"made/build.sh": build, "made/manifest.yaml": manifest, "made/a.txt": "a"}) as folder:
        with host(folder, "--no-watch", verb=("fn", "dev")) as server:
            def builds_after_a_look():
                equal(server.request("POST", "/api/functions/reload", "{}", {"Content-Type": "application/json"})[0], 200)
                return len((folder.parent / "builds").read_text().split())
            equal([builds_after_a_look() for _ in range(3)], [2, 2, 2])  # the first shows what it makes, which the second sees
            (folder / "made/a.txt").write_text("b")
            equal([builds_after_a_look() for _ in range(2)], [3, 3])
            (folder / "made/stamp").write_text("by hand")
            equal([builds_after_a_look() for _ in range(2)], [4, 4])


@case
def what_a_build_rewrites_and_what_is_saved_as_it_was_is_no_reason_to_build_again():
    build = "date +%s%N > stamp\ncat *.txt > dist.out\necho built >> ../../builds\n"
    manifest = "runtime: sh\nentrypoint: build.sh\nbuild: {command: sh, args: [build.sh]}\n"
    with folder_of({"made/build.sh": build, "made/manifest.yaml": manifest, "made/a.txt": "a", "made/stamp": "0", "made/dist.out": ""}) as folder:
        with host(folder, "--no-watch", verb=("fn", "dev")) as server:
            def builds_after_a_look():
                equal(server.request("POST", "/api/functions/reload", "{}", {"Content-Type": "application/json"})[0], 200)
                return len((folder.parent / "builds").read_text().split())
            equal([builds_after_a_look() for _ in range(3)], [2, 2, 2])  # the first shows what it changes, which the second sees
            (folder / "made/a.txt").write_text("a")
            equal([builds_after_a_look() for _ in range(2)], [2, 2])
            (folder / "made/stamp").write_text("by hand")
            equal([builds_after_a_look() for _ in range(2)], [3, 3])


@case
def a_build_that_fails_is_not_tried_again_for_what_it_left():
    build = "date +%s%N > stamp\ndate > left\necho built >> ../../builds\nexit 1\n"
    manifest = "runtime: sh\nentrypoint: build.sh\nbuild: {command: sh, args: [build.sh]}\n"
    with developing({"made/build.sh": build, "made/manifest.yaml": manifest, "made/a.txt": "a", "made/stamp": "0"}) as server:
        counts = []
        for number in range(4):  # each a look at its folder: what is told of the other one comes with it
            (server.folder / "made/a.txt").write_text("a")
            (server.folder / f"other{number}").mkdir()
            (server.folder / f"other{number}/index.py").write_text(answer("1"))
            until(lambda: any(f"  added     other{number}" in line for line in server.out))
            counts.append(len((server.folder.parent / "builds").read_text().split()))
        equal(counts[1:], [counts[1]] * 3)
        equal(server.call("made")[1]["error"]["code"], "BUILD_FAILED")
        (server.folder / "made/a.txt").write_text("b")
        until(lambda: len((server.folder.parent / "builds").read_text().split()) > counts[-1])


@case
def a_name_that_comes_to_be_claimed_twice_is_told_once():
    with developing({"hello/index.py": answer("1"), "other/index.py": answer("1")}) as server:
        (server.folder / "hello.py").write_text(answer("2"))
        line = until(lambda: next((line for line in server.out if "  invalid   hello" in line), None))
        assert line.rstrip().endswith("rename one of them [M006]"), line
        (server.folder / "other/index.py").write_text(answer("2"))
        until(lambda: any("  changed   other" in line for line in server.out))
        (server.folder / "hello.py").unlink()
        until(lambda: any(line.rstrip().endswith("  valid     hello") for line in server.out))
        equal(server.call("hello")[1]["output"], "1")
        equal([line[10:].rstrip() for line in server.out if "  valid " in line or "  changed   hello" in line], ["valid     hello"])


@case
def outputs_are_asked_for_outside_development():
    manifest = "runtime: sh\nentrypoint: build.sh\nbuild: {command: sh, args: [build.sh], output: dist/run}\n"
    with folder_of({"made/build.sh": "exit 0\n", "made/manifest.yaml": manifest}) as folder, host(folder) as server:
        equal(server.call("made")[1]["error"]["code"], "BUILD_REQUIRED")


@case
def a_host_in_production_looks_again_when_asked():
    with folder_of({"hello/index.py": answer("1"), "hello/manifest.yaml": "timeout: 5m\n"}) as folder:
        with host(folder, project=f"functions: {{admin_token: {hashlib.sha256(b'admin').hexdigest()}}}\n") as server:
            headers = {"Authorization": "Bearer admin"}
            (folder / "new").mkdir()
            (folder / "new/index.py").write_text(answer("2"))
            equal(server.call("new")[0], 404)
            status, text, _ = server.request("POST", "/api/functions/reload", headers=headers)
            equal((status, b'"added":["new"]' in text), (200, True))
            equal(server.call("new")[1]["output"], "2")
            (folder / "hello/manifest.yaml").write_text("timeout: fast\n")
            status, text, _ = server.request("POST", "/api/functions/reload", headers=headers)
            equal((status, b'"invalid":["hello"]' in text), (200, True))
            equal(server.call("hello")[0], 200, "the version that ran goes on")


@case
def a_call_keeps_the_files_it_started_with():
    late = "import sys, time, os\nsys.stdin.read()\nopen(os.environ['MARK'] + '-started', 'w').close()\nwhile not os.path.exists(os.environ['MARK'] + '-go'):\n    time.sleep(0.01)\nimport helper\nprint('{\"success\":true,\"output\":\"%s\"}' % helper.word)\n"
    with tempfile.TemporaryDirectory(prefix="berth-mark-") as marks:
        with developing({"late/index.py": late, "late/helper.py": "word = 'old'\n", "late/manifest.yaml": f"env: {{MARK: {marks}/m}}\n"}) as server:
            found = []
            thread = threading.Thread(target=lambda: found.append(server.call("late")))
            thread.start()
            until(lambda: Path(marks, "m-started").exists())
            version = server.get("/api/functions/late")[1]["version"]
            (server.folder / "late/helper.py").write_text("word = 'new'\n")
            until(lambda: server.get("/api/functions/late")[1]["version"] != version)
            Path(marks, "m-go").touch()
            thread.join()
            equal(found[0][1].get("output"), "old", found)
            equal(server.call("late")[1]["output"], "new")


@case
def single_files_share_what_lies_beside_them():
    one = "import json, sys\nsys.path.insert(0, '.')\nimport _words\nsys.stdin.read()\nprint(json.dumps({'success': True, 'output': _words.word}))\n"
    with developing({"one.py": one, "two.py": answer("two"), "_words.py": "word = 'a'\n"}) as server:
        equal(server.call("one")[1].get("output"), "a")
        (server.folder / "_words.py").write_text("word = 'b'\n")
        until(lambda: server.call("one")[1].get("output") == "b")
        # What is a function itself may be used by another one too; only the one that is saved is told as changed.
        (server.folder / "one.py").write_text(one.replace("_words", "two_words"))
        (server.folder / "two_words.py").write_text("word = 'c'\n")
        until(lambda: server.call("one")[1].get("output") == "c")
        version = server.get("/api/functions/one")[1]["version"]
        (server.folder / "two_words.py").write_text("word = 'd'\n")
        until(lambda: server.call("one")[1].get("output") == "d")
        equal(server.get("/api/functions/one")[1]["version"], version)


@case
def further_files_of_a_manifest_are_watched():
    uses = "import json, os, sys\nsys.stdin.read()\nprint(json.dumps({'success': True, 'output': open(os.environ['SHARED']).read()}))\n"
    with tempfile.TemporaryDirectory(prefix="berth-shared-") as shared:
        Path(shared, "words").mkdir()
        Path(shared, "words/first.txt").write_text("1")
        Path(shared, "one.txt").write_text("1")
        manifest = f"env: {{SHARED: {shared}/one.txt}}\nreload: {{watch: [{shared}/words, {shared}/one.txt]}}\n"
        with developing({"uses/index.py": uses, "uses/manifest.yaml": manifest, "other/index.py": answer("o")}) as server:
            versions = [server.get("/api/functions/uses")[1]["version"]]
            for file in (Path(shared, "words/first.txt"), Path(shared, "one.txt"), Path(shared, "words/second.txt")):
                file.write_text("2")
                until(lambda: server.get("/api/functions/uses")[1]["version"] not in versions)
                versions.append(server.get("/api/functions/uses")[1]["version"])
            equal(server.call("uses")[1]["output"], "2")
            assert not any("changed   other" in line for line in server.out), server.out


@case
def runtimes_are_read_again_when_their_files_change():
    files = {"functions/hi/index.awk": 'BEGIN { print "{\\"success\\":true,\\"output\\":\\"" WORD "\\"}" }\n', "functions/hi/manifest.yaml": "runtime: awk\n", "berth.yaml": ""}
    with project_of(files) as project:
        (project / "runtimes.d").mkdir()
        runtime = 'awk:\n  command: awk\n  args: ["-v", "WORD=%s", "-f"]\n  extensions: [".awk"]\n'
        with host(project / "functions", verb=("fn", "dev"), folder=project) as server:
            equal(server.call("hi")[1]["error"]["code"], "FUNCTION_INVALID")
            (project / "runtimes.d/awk.yaml").write_text(runtime % "one")
            until(lambda: server.call("hi")[1].get("output") == "one")
            (project / "runtimes.d/awk.yaml").write_text(runtime % "two")
            until(lambda: server.call("hi")[1].get("output") == "two")
            (project / "runtimes.d/awk.yaml").write_text("awk:\n  comand: awk\n")
            until(lambda: any("comand" in line for line in server.out))
            equal(server.call("hi")[1]["output"], "two", "what was known goes on")
            (project / "runtimes.d/awk.yaml").write_text(runtime % "three")
            until(lambda: server.call("hi")[1].get("output") == "three")


@case
def a_folder_that_comes_later_is_seen():
    with tempfile.TemporaryDirectory(prefix="berth-later-") as temporary:
        folder = Path(temporary) / "functions"
        outside = Path(temporary) / "outside"
        outside.mkdir()
        (outside / "index.py").write_text(answer("1"))
        with host(None, verb=("fn", "dev"), folder=temporary) as server:
            (folder / "hello").mkdir(parents=True)
            (folder / "hello/index.py").write_text(answer("1"))
            until(lambda: server.call("hello")[0] == 200)
            (folder / "hello/index.py").write_text(answer("2"))
            until(lambda: server.call("hello")[1].get("output") == "2")
            (folder / "linked").symlink_to(outside)
            until(lambda: server.call("linked")[0] == 200)
            (outside / "index.py").write_text(answer("3"))
            until(lambda: server.call("linked")[1].get("output") == "3")
            (folder / "replaced").mkdir()
            (folder / "replaced/index.py").write_text(answer("4"))
            shutil.rmtree(folder / "hello")
            (folder / "replaced").rename(folder / "hello")
            until(lambda: server.call("hello")[1].get("output") == "4")
