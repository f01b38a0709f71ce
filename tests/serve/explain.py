"""Cases of `berth policy explain` with the id of a call: of a journal, and of what a running host remembers."""
import hashlib
import tempfile
import threading
from pathlib import Path

from admin import admin_here, admin_url, as_json, cli, document, spin
from durable import House, accept, at_the_gate, ended
from harness import ask, case, equal, post, root, serving
from cases import until  # after harness, which says where it lies

# It asks for what it is not granted, twice, and then for a file.
asking = """(module (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 64) "a.txt")
  (func (export "_start")
    (drop (call $random (i32.const 0) (i32.const 8)))
    (drop (call $random (i32.const 0) (i32.const 8)))
    (drop (call $open (i32.const 3) (i32.const 0) (i32.const 64) (i32.const 5) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 8)))))"""


def made(folder):
    """The module with a policy that names it, and a file that it does not get."""
    folder = Path(folder)
    (folder / "asking.wat").write_text(asking)
    (folder / "data").mkdir()
    (folder / "data/a.txt").touch()
    (folder / "p.yaml").write_text(f"policy: 1\nmatch: {{name: asking}}\nmounts: {{data: {{path: {folder}/data}}}}\ngrants: {{time.now: {{}}}}\n")
    return folder


def call(server, request_id=None):
    headers = {"X-Request-Id": request_id} if request_id else {}
    status, _, fields = ask("POST", server.url + "/api/functions/asking", b"", headers)
    equal(status, 200)
    return fields["x-request-id"]


@case
def a_call_is_explained_by_its_id_from_what_its_host_remembers():
    with tempfile.TemporaryDirectory(prefix="berth-explain-") as folder:
        folder = made(folder)
        with serving(str(folder / "asking.wat"), *admin_here, "--policy", str(folder / "p.yaml")) as server:
            admin = admin_url(server)
            id = call(server)
            record = document(cli("calls", "show", id, "--json", "--url", admin, home=folder)[1], "berth.call", folder)
            equal([(each["world"], each["function"], each["capability"], each["scope"]) for each in record["refused"]], [("wasi", "random_get", "random.secure", ""), ("wasi", "path_open", "fs.read", "data/a.txt")])
            equal([each["rule"] for each in record["refused"]], ["p.yaml:1"] * 2)
            # Its callers are not told, and neither is anybody on the main listener.
            for path in (f"/api/executions/{id}", "/admin/calls"):
                assert b"p.yaml" not in ask("GET", server.url + path)[1]
            status, text, told = cli("policy", "explain", id, "--url", admin, home=folder)
            equal(status, 0)
            first, second = text.splitlines()
            equal(first, "wasi_snapshot_preview1.random_get wanted random.secure; refused by p.yaml:1, granted now by preset wasi")
            equal(second, 'wasi_snapshot_preview1.path_open wanted fs.read on data/a.txt; refused by p.yaml:1; add grants: {fs.read: {paths: ["data/a.txt"]}}')
            # Under the policy that is given here.
            status, text, _ = cli("policy", "explain", id, "--url", admin, "--policy", str(folder / "p.yaml"), "--allow", "fs.read=data/*", "--json", home=folder)
            equal(status, 0)
            first, second = [document(line, "berth.refusal", folder) for line in text.splitlines()]
            equal((first["granted_now"], first["rule"], first["refused_by"]), (False, "p.yaml:1", "p.yaml:1"))
            equal((second["granted_now"], second["rule"], "operation" in second, "fix" in second), (True, "--allow", False, False))
            # The request id that a caller chose: its only call, or one of several.
            chosen = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
            equal(call(server, chosen), chosen)
            status, text, told = cli("policy", "explain", chosen, "--url", admin, home=folder)
            equal((status, len(text.splitlines())), (0, 2))
            other = as_json(ask("GET", f"{admin}/admin/calls?request_id={chosen}"))["calls"]
            equal((len(other), other[0]["id"] in told), (1, True))
            call(server, chosen)
            status, text, told = cli("policy", "explain", chosen, "--url", admin, home=folder)
            equal((status, text, other[0]["id"] in told, "2 calls have the request id" in told), (1, "", True, True))
            status, text, told = cli("policy", "explain", "01890000-0000-7000-8000-000000000000", "--url", admin, home=folder)
            equal((status, text, "the host does not remember it" in told), (68, "", True))


@case
def a_recorded_call_is_explained_by_its_id_from_its_journal():
    with tempfile.TemporaryDirectory(prefix="berth-explain-") as folder:
        folder = made(folder)
        chosen = "6f9619ff-8b86-4d01-b42d-00cf4fc964ff"
        with serving(str(folder / "asking.wat"), *admin_here, "--policy", str(folder / "p.yaml"), "--record", str(folder / "calls")) as server:
            admin = admin_url(server)
            id = call(server)
            call(server, chosen)
            # By the request id the host says which call, and its journal what it was refused.
            status, text, told = cli("policy", "explain", chosen, "--url", admin, "--record", str(folder / "calls"), "--policy", str(folder / "p.yaml"), home=folder)
            equal((status, len(text.splitlines()), f"journal {folder}/calls" in told), (0, 3, True))
        status, text, _ = cli("policy", "explain", id, "--record", str(folder / "calls"), "--policy", str(folder / "p.yaml"), "--json", home=folder)
        equal(status, 0)
        lines = [document(line, "berth.refusal", folder) for line in text.splitlines()]
        equal([(each["operation"] > 0, each["capability"], each["granted_now"]) for each in lines], [(True, "random.secure", False)] * 2 + [(True, "fs.read", False)])


@case
def a_call_that_runs_or_is_a_programs_has_no_refusals_to_tell():
    with tempfile.TemporaryDirectory(prefix="berth-explain-") as folder:
        with serving(spin, *admin_here, "--timeout", "10m") as server:
            admin = admin_url(server)
            caller = threading.Thread(target=lambda: post(server.url + "/api/functions/spin", ""))
            caller.start()
            id = until(lambda: as_json(ask("GET", admin + "/admin/calls?status=running"))["calls"], "a running call")[0]["id"]
            status, text, told = cli("policy", "explain", id, "--url", admin, home=folder)
            equal((status, text, "has not ended" in told), (1, "", True))
            equal(ask("DELETE", f"{admin}/admin/calls/{id}")[0], 202)
            caller.join(600)
            status, text, told = cli("policy", "explain", id, "--url", admin, home=folder)
            equal((status, text, told), (0, "", "nothing was refused\n"))
        with serving(str(root / "tests/cli/fixtures/functions"), *admin_here) as server:
            admin = admin_url(server)
            post(server.url + "/api/functions/echo", "{}")
            id = as_json(ask("GET", admin + "/admin/calls?function=echo"))["calls"][0]["id"]
            assert "refused" not in document(cli("calls", "show", id, "--json", "--url", admin, home=folder)[1], "berth.call", folder)
            status, text, told = cli("policy", "explain", id, "--url", admin, home=folder)
            equal((status, text, "of programs" in told), (68, "", True))


@case
def an_asynchronous_call_is_explained_from_the_state_folder_and_then_by_its_host():
    with tempfile.TemporaryDirectory(prefix="berth-explain-") as folder:
        house = House(folder)
        with house.server("--set", "admin.listen=127.0.0.1:0") as server:
            admin = admin_url(server)
            id = accept(server, "aa")["aa"]
            until(lambda: at_the_gate(house, server, id))
            status, text, told = cli("policy", "explain", id, "--url", admin, "--state-dir", str(house.folder / "state"), home=folder)
            equal((status, text, f"journal {house.folder}/state/calls/{id}.bj" in told, "so far" in told), (0, "", True, True))
            house.open_gate()
            until(lambda: ended(server, id))
            until(lambda: not (house.folder / f"state/calls/{id}.bj").exists(), "a record that is written")
            status, text, told = cli("policy", "explain", id, "--url", admin, "--state-dir", str(house.folder / "state"), home=folder)
            equal((status, text, told), (0, "", "nothing was refused\n"))
        # The next host has the record of the one before.
        with house.server("--set", "admin.listen=127.0.0.1:0") as server:
            status, text, told = cli("policy", "explain", id, "--url", admin_url(server), home=folder)
            equal((status, text, told), (0, "", "nothing was refused\n"))


@case
def who_is_not_the_administrator_is_told_to_give_the_token():
    digest = hashlib.sha256(b"let-me-in").hexdigest()
    with tempfile.TemporaryDirectory(prefix="berth-explain-") as folder:
        folder = made(folder)
        with serving(str(folder / "asking.wat"), "--port", "0", "--set", "admin.listen=0.0.0.0:0", "--set", f"functions.admin_token={digest}", "--policy", str(folder / "p.yaml")) as server:
            admin = admin_url(server).replace("0.0.0.0", "127.0.0.1")
            id = call(server)
            for token in ((), ("--token", "wrong")):
                status, text, told = cli("policy", "explain", id, "--url", admin, *token, home=folder)
                equal((status, text, "--token" in told, id in told), (77, "", True, True))
            status, text, _ = cli("policy", "explain", id, "--url", admin, "--token", "let-me-in", home=folder)
            equal((status, len(text.splitlines())), (0, 2))


# It sleeps for an hour, twice: the first sleep ends when its grant does, and the second is none.
sleeping = """(module (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "_start")
    (i32.store8 (i32.const 16) (i32.const 1))
    (i64.store (i32.const 24) (i64.const 3600000000000))
    (drop (call $poll (i32.const 0) (i32.const 128) (i32.const 1) (i32.const 512)))
    (drop (call $poll (i32.const 0) (i32.const 128) (i32.const 1) (i32.const 512)))))"""


@case
def what_was_taken_from_a_call_is_told_from_what_it_never_had():
    with tempfile.TemporaryDirectory(prefix="berth-explain-") as folder:
        (Path(folder) / "sleeping.wat").write_text(sleeping)
        with serving(f"{folder}/sleeping.wat", *admin_here, "--record", f"{folder}/calls", "--timeout", "10m") as server:
            admin = admin_url(server)
            outcome = []
            caller = threading.Thread(target=lambda: outcome.append(post(server.url + "/api/functions/sleeping", "")[0]))
            caller.start()
            id = until(lambda: as_json(ask("GET", admin + "/admin/calls?status=running"))["calls"], "a running call")[0]["id"]
            equal(cli("policy", "revoke", id, "time.sleep", "--url", admin, home=folder)[0], 0)
            caller.join(600)
            equal(outcome, [200])
        status, text, _ = cli("policy", "explain", id, "--record", f"{folder}/calls", home=folder)
        equal(status, 0)
        lines = text.splitlines()
        # Whether it slept already when its grant went, nobody can know.
        when, during = {"0": ("before its first operation", "before its first operation"), "1": ("behind operation 1", "while it ran")}[str(int("behind" in lines[0]))]
        equal(lines, [f"time.sleep was revoked {when}; it had been granted by preset wasi",
                      f"operation 1: wasi_snapshot_preview1.poll_oneoff wanted time.sleep; revoked {during}, it had been granted by preset wasi",
                      f"operation 2: wasi_snapshot_preview1.poll_oneoff wanted time.sleep; revoked {when}, it had been granted by preset wasi",
                      "the call ended with ok"])
        status, text, _ = cli("policy", "explain", id, "--record", f"{folder}/calls", "--deny-all", "--json", home=folder)
        first, *rest = text.splitlines()
        taken = document(first, "berth.revocation", folder)
        equal((taken["capability"], taken["ended"], "rule" in taken), ("time.sleep", "ok", False))
        equal([(one["operation"], one["revoked_behind"], one["granted_now"], "fix" in one) for one in (document(line, "berth.refusal", folder) for line in rest)], [(n, taken["behind"], False, False) for n in (1, 2)])


@case
def a_program_that_was_ended_since_something_was_taken_from_it_is_explained_so():
    with tempfile.TemporaryDirectory(prefix="berth-explain-") as folder:
        (Path(folder) / "f/sleeps").mkdir(parents=True)
        (Path(folder) / "f/sleeps/index.py").write_text("import time\ntime.sleep(3600)\n")
        with serving(f"{folder}/f", *admin_here, "--record", f"{folder}/calls", "--timeout", "10m") as server:
            admin = admin_url(server)
            outcome = []
            caller = threading.Thread(target=lambda: outcome.append(post(server.url + "/api/functions/sleeps", "{}")[0]))
            caller.start()
            id = until(lambda: as_json(ask("GET", admin + "/admin/calls?status=running"))["calls"], "a running call")[0]["id"]
            until(lambda: list(Path(folder, "calls").glob("*.bj")), "its journal, which begins with its process")
            equal(cli("policy", "revoke", id, "net.connect", "--url", admin, home=folder)[0], 0)
            caller.join(600)
            equal(outcome, [500])
            assert b"capability_denied" in ask("GET", f"{admin}/admin/calls/{id}")[1].lower()
        status, text, _ = cli("policy", "explain", id, "--record", f"{folder}/calls", home=folder)
        equal(status, 0)
        lines = text.splitlines()
        equal(lines[0].split(":")[0], "sleeps")
        assert any(line.startswith("ambient  net.connect ") for line in lines), text
        equal(lines[-1], "net.connect was revoked; a process cannot be narrowed after its start, so the call ended with capability_denied")
        status, text, _ = cli("policy", "explain", id, "--record", f"{folder}/calls", "--json", home=folder)
        first, second = text.splitlines()
        equal(document(first, "berth.policy_explanation", folder)["sandbox"], "none")
        equal(document(second, "berth.revocation", folder)["capability"], "net.connect")
        # The journal says the same of the process as before: its replay ends as the call's process did.
        assert cli("trace", "show", f"{folder}/calls/{id}.bj", home=folder)[1].count('"t":"revoke"') == 1
