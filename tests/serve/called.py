"""Cases of the flags that serve and dev take for what they run, and of calls of a running host by the command line."""
import hashlib
import json
import os
import subprocess
import tempfile
from pathlib import Path

from harness import ask, binary, case, equal, post, serving

random = """(module (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get" (func $time (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (drop (call $random (i32.const 64) (i32.const 16)))
    (drop (call $time (i32.const 0) (i64.const 0) (i32.const 80)))
    (i32.store (i32.const 0) (i32.const 64)) (i32.store (i32.const 4) (i32.const 24))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))"""
exits = """(module (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32))) (memory (export "memory") 1)
  (func (export "_start") (call $exit (i32.const 7))))"""
traps = """(module (memory (export "memory") 1) (func (export "_start") unreachable))"""


def berth(*arguments, home, text=""):
    done = subprocess.run([binary, *arguments], input=text.encode(), capture_output=True, timeout=600, env={"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C.UTF-8"})
    return done.returncode, done.stdout, done.stderr.decode()


@case
def served_calls_are_deterministic_as_those_of_run_are():
    with tempfile.TemporaryDirectory(prefix="berth-called-") as folder:
        module = Path(folder) / "random.wat"
        module.write_text(random)
        flags = ("--deterministic", "--seed", "7", "--clock-start", "2026-01-31T12:00:00Z")
        status, alone, _ = berth("run", *flags, str(module), home=folder)
        equal((status, len(alone)), (0, 24))
        with serving(str(module), "--port", "0", *flags) as server:
            equal([ask("POST", server.url + "/api/functions/random")[1] for _ in range(3)], [alone] * 3)
        with serving(str(module), "--port", "0", "--deterministic") as server:
            first = ask("POST", server.url + "/api/functions/random")[1]
            equal((ask("POST", server.url + "/api/functions/random")[1], first != alone), (first, True))
        # What cannot be is refused by name, before anything listens.
        (Path(folder) / "say.sh").write_text("echo '{\"success\":true}'\n")
        for more, status, words in (((f"{folder}/say.sh", "--deterministic"), 78, "say"), (("--seed", "7"), 2, "--deterministic"), (("--deterministic", "--isolation", "pooled"), 2, "pooled"),
                                    (("--deterministic", "--clock-start", "noon"), 2, "--clock-start")):
            found, out, errors = berth("serve", str(module), "--port", "0", *more, home=folder)
            equal((more, found, out, words in errors), (more, status, b"", True))


@case
def dev_takes_the_policies_and_bounds_that_serve_takes():
    with tempfile.TemporaryDirectory(prefix="berth-called-") as folder:
        functions = Path(folder) / "functions"
        functions.mkdir()
        (functions / "random.wat").write_text(random)
        (Path(folder) / "policy.yaml").write_text("policy: 1\nlimits: {fuel: 3}\n")

        def answer(*flags):
            with serving(str(functions), "--port", "0", *flags, verb="dev") as server:
                status, text, _ = ask("POST", server.url + "/api/functions/random")
                return status, json.loads(text)["error"]["code"] if status != 200 else text

        equal(answer()[0], 200)
        equal(answer("--limit", "fuel=3"), (500, "cpu_limit"))
        equal(answer("--fuel", "3"), (500, "cpu_limit"))
        equal(answer("--policy", f"{folder}/policy.yaml"), (500, "cpu_limit"))
        equal(answer("--deny-all", "--allow", "time.now")[1][:16], bytes(16))
        journals = Path(folder) / "journals"
        equal(answer("--record", str(journals), "--timeout", "1m", "--memory", "1mb", "--isolation", "fresh")[0], 200)
        equal(len(list(journals.glob("*.bj"))), 1)
        status, out, errors = berth("dev", str(functions), "--limit", "fule=3", home=folder)
        equal((status, out, "fuel" in errors), (2, b"", True))


@case
def a_call_of_a_running_host_is_printed_and_ends_as_one_made_here():
    with tempfile.TemporaryDirectory(prefix="berth-called-") as folder:
        functions = Path(folder) / "functions"
        functions.mkdir()
        for name, text in (("random", random), ("exits", exits), ("traps", traps)):
            (functions / f"{name}.wat").write_text(text)
        for name, text in (
            ("echo", "read all; printf '{\"success\":true,\"output\":[1,2.50],\"logs\":[{\"level\":\"info\",\"message\":\"said\"}]}'"),
            ("refuses", "printf '{\"success\":false,\"error\":{\"code\":\"NO_COLOUR\",\"message\":\"none such\"}}'"),
            ("invalid", "printf '{\"success\":false,\"error\":{\"code\":\"VALIDATION_ERROR\",\"message\":\"wrong\"}}'"),
            ("ends", "exit 9"),
            ("killed", "kill -9 $$"),
            ("rubbish", "echo rubbish"),
        ):
            (functions / f"{name}.sh").write_text(text + "\n")
        fixed = ("--allow", "time.now", "--allow", "random.secure")
        token = hashlib.sha256(b"let-me-in").hexdigest()
        with serving(str(functions), "--port", "0", "--set", f"functions.admin_token={token}", "--expose-errors") as server:
            for name in ("echo", "refuses", "invalid", "ends", "killed", "rubbish", "exits", "traps", "nothing"):
                here = berth("invoke", name, str(functions), "--input", "{}", home=folder)
                there = berth("invoke", name, "--url", server.url, "--input", "{}", home=folder)
                codes = [text.split("\n")[0].split(":")[0] for text in (here[2][here[2].find("error["):], there[2][there[2].find("error["):])]
                equal((name, *there[:2], codes[1]), (name, *here[:2], codes[0]))
                assert there[0] == 0 or here[0] != 0, (name, here, there)
            equal(berth("invoke", "echo", "--url", server.url + "/", home=folder, text="{}"), (0, b"[1,2.50]\n", "said\n"))
            equal(berth("invoke", "echo", "--url", server.url, "--input", "[]", home=folder)[0], 65)
            equal(berth("invoke", "echo", "--url", server.url, "--token", "let-me-in", "--input", "{}", home=folder)[0], 0)
            status, _, errors = berth("invoke", "echo", "--url", server.url, "--token", "wrong", "--input", "{}", home=folder)
            equal((status, "error[unauthorized]" in errors), (77, True))
            status, _, errors = berth("invoke", "echo", "--url", server.url, "--deny-all", "--fuel", "3", "--stats", home=folder)
            equal((status, "--deny-all, --fuel, --stats" in errors), (2, True))
            equal(post(server.url + "/api/functions/echo", "{}")[0], 200)
        equal(berth("invoke", "echo", "--url", server.url, "--input", "{}", home=folder)[0] != 0, True)
        status, _, errors = berth("invoke", "random", str(functions), "--stats", *fixed, "--input", "", home=folder)
        equal((status, errors.splitlines()[-1].startswith("stats: fuel ")), (0, True))
        status, _, errors = berth("invoke", "echo", str(functions), "--stats", "--input", "{}", home=folder)
        equal((status, errors.splitlines()[-1].startswith("stats: processor time ")), (0, True))
        equal(berth("invoke", "echo", str(functions), "--token", "let-me-in", "--input", "{}", home=folder)[0], 2)
