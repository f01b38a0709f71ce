"""Asynchronous calls of modules outlive a server that is killed: the next one takes them up where they were."""
import collections
import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from harness import ask, binary, case, equal, root, serving
from cases import until  # after harness, which says where it lies

TOKEN = "the administrator"
ADMIN = {"Authorization": f"Bearer {TOKEN}"}
ENDED = ("success", "failed", "canceled", "timed_out")


class House:
    """A folder of functions, one of data, and the state that servers leave each other."""

    def __init__(self, folder):
        self.folder = Path(folder)
        for name in ("functions", "data", "state", "journals"):
            (self.folder / name).mkdir()
        shutil.copy(root / "tests/serve/ledger.wat", self.folder / "functions/ledger.wasm")

    @contextlib.contextmanager
    def server(self, *more):
        arguments = [self.folder / "functions", "--port", "0", "--state-dir", self.folder / "state", "--mount", f"data={self.folder / 'data'}:rw",
                     "--timeout", "1h",  # from the beginning of a call, with all that comes between: two other servers, and a medium that writes slowly
                     "--set", "functions.records=file", "--set", f"functions.admin_token={hashlib.sha256(TOKEN.encode()).hexdigest()}", *more]
        with serving(*map(str, arguments), env={"XDG_CACHE_HOME": str(self.folder / "cache"), "XDG_STATE_HOME": str(self.folder / "state")}) as server:
            assert server.first_line.startswith("Listening on "), server.errors
            yield server

    def lines(self):
        """How often each line is in the ledger."""
        file = self.folder / "data/ledger.txt"
        return collections.Counter(file.read_text().splitlines() if file.exists() else [])

    def trace(self, journal):
        shown = subprocess.run([binary, "trace", "show", journal], capture_output=True, text=True, env={"PATH": os.environ["PATH"], "HOME": str(self.folder)})
        return shown.stdout if shown.returncode == 0 else ""

    def open_gate(self):
        (self.folder / "data/go").touch()


def accept(server, *letters):
    """The ids of asynchronous calls with these inputs."""
    ids = {}
    for each in letters:
        status, body, fields = ask("POST", f"{server.url}/api/functions/ledger?async=1", each.encode(), {"Content-Type": "text/plain"})
        assert status == 202, (status, body)
        ids[each] = fields["location"].rsplit("/", 1)[1]
    return ids


def ended(server, call):
    status, text, _ = ask("GET", f"{server.url}/api/executions/{call}", headers=ADMIN)
    equal(status, 200)
    record = json.loads(text)
    return record if record["status"] in ENDED else None


def kill(server):
    server.kill()
    server.wait()


def at_the_gate(house, server, call):
    """The guest asks for `go`, and the journal has that on the medium."""
    if house.trace(house.folder / f"state/calls/{call}.bj").count("path_filestat_get") > 0:
        return True
    record = ended(server, call)
    assert record is None, record  # it does not come there any more
    return False


@case
def modules_and_components_are_called_without_waiting_for_them():
    with tempfile.TemporaryDirectory(prefix="berth-durable-") as folder:
        house = House(folder)
        house.open_gate()
        shutil.copy(root / "tests/components/hello_http.wat", house.folder / "functions/hello.wasm")
        with house.server("--set", "functions.record_payloads=all") as server:
            record = until(lambda call=accept(server, "zz")["zz"]: ended(server, call))
            equal((record["status"], record["output"]), ("success", "01234567"))
            address = f"{server.url}/api/functions/hello"
            status, _, fields = ask("POST", address, b"{}", {"Prefer": "respond-async"})
            equal(status, 202)
            record = until(lambda: ended(server, fields["location"].rsplit("/", 1)[1]))
            equal((record["status"], record["output"]), ("success", {"message": "Hello, World!"}))
            equal(ask("POST", f"{address}?async=1", b"{}")[:2], (200, b'{"message":"Hello, World!"}'))  # the query is the handler's


@case
def calls_of_a_killed_server_are_taken_up_where_they_were():
    with tempfile.TemporaryDirectory(prefix="berth-durable-") as folder:
        house = House(folder)
        with house.server() as server:
            calls = accept(server, "aa", "bb", "cc")
            for call in calls.values():
                until(lambda call=call: at_the_gate(house, server, call))
            equal(house.lines(), collections.Counter(f"{each} {i}" for each in calls for i in range(4)))
            kill(server)
        # A second one, killed as well, before the calls can go on.
        with house.server() as server:
            until(lambda: all(house.trace(house.folder / f"state/calls/{call}.bj").count('"t":"call"') > 0 for call in calls.values()))
            kill(server)
        house.open_gate()
        with house.server("--record", str(house.folder / "journals")) as server:
            for each, call in calls.items():
                record = until(lambda call=call: ended(server, call))
                equal((record["status"], record.get("error")), ("success", None))
        equal(house.lines(), collections.Counter(f"{each} {i}" for each in calls for i in range(8)))
        # What is in the records needs no journal any more; the one that was asked for replays as one call.
        equal(list((house.folder / "state/calls").iterdir()), [])
        for call in calls.values():
            replayed = subprocess.run([binary, "replay", house.folder / f"journals/{call}.bj"], capture_output=True, text=True, env={"PATH": os.environ["PATH"], "HOME": folder, "XDG_CACHE_HOME": f"{folder}/cache"})
            assert replayed.returncode == 0 and replayed.stdout == "01234567", replayed


@case
def what_was_open_ended_with_the_server_and_another_module_is_another_call():
    with tempfile.TemporaryDirectory(prefix="berth-durable-") as folder:
        house = House(folder)
        with house.server() as server:
            held = accept(server, "h1")["h1"]
            until(lambda: at_the_gate(house, server, held))
            kill(server)
        house.open_gate()
        with house.server() as server:
            record = until(lambda: ended(server, held))
            equal((record["status"], record["error"]["code"]), ("failed", "host_restarted"))
            assert "descriptor 4" in record["error"]["message"], record
        equal(house.lines(), collections.Counter(f"h1 {i}" for i in range(4)))
        (house.folder / "data/go").unlink()
        with house.server() as server:
            changed = accept(server, "x1")["x1"]
            until(lambda: at_the_gate(house, server, changed))
            kill(server)
        house.open_gate()
        module = house.folder / "functions/ledger.wasm"
        module.write_text(module.read_text().replace("ledger.txt", "edgerl.txt"))
        with house.server() as server:
            record = until(lambda: ended(server, changed))
            equal((record["status"], record["error"]["code"]), ("failed", "host_restarted"))
        assert not (house.folder / "data/edgerl.txt").exists()
        equal(house.lines(), collections.Counter([f"{each} {i}" for each in ("h1", "x1") for i in range(4)]))


@case
def whenever_a_server_is_killed_no_effect_is_doubled_and_none_is_lost_in_silence():
    for kill_at in (1, 6, 13, 22, 37, 58):
        with tempfile.TemporaryDirectory(prefix="berth-durable-") as folder:
            house = House(folder)
            house.open_gate()
            letters = [f"{first}{second}" for first in "abcd" for second in "wxyz"]
            with house.server() as server:
                calls = accept(server, *letters)
                until(lambda: house.lines().total() >= kill_at)
                kill(server)
            with house.server() as server:
                records = {each: until(lambda call=call: ended(server, call)) for each, call in calls.items()}
            lines = house.lines()
            assert all(count == 1 for count in lines.values()), (kill_at, lines.most_common(3))
            for each, record in records.items():
                own = [f"{each} {i}" for i in range(8) if f"{each} {i}" in lines]
                equal(own, [f"{each} {i}" for i in range(len(own))])
                if record["status"] == "success":
                    equal(len(own), 8)
                else:  # it was told that it does not know, or had the ledger open
                    assert record["error"]["code"] in ("exit_nonzero", "host_restarted"), record
