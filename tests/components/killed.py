"""A recorded call of a component made by a tool chain, whose server is killed at each write of the call's journal, before it and behind it;
another server takes it up."""
import collections
import hashlib
import http.client
import json
import tempfile
import urllib.error
from pathlib import Path

from harness import ask, berth, binary, case, guests, peer, serving
from cases import until  # after harness, which says where it lies

TOKEN = "the administrator"
ADMIN = {"Authorization": f"Bearer {TOKEN}"}
ENDED = ("success", "failed", "canceled", "timed_out")
ASKED = ("one", "two")
preloaded = binary.parent.parent / "tests/components/libkill_at_write.so"


class House:
    """What servers leave each other."""

    def __init__(self, folder, other):
        self.folder, self.other = Path(folder), other
        self.calls, self.journals = self.folder / "state/calls", self.folder / "journals"

    def serving(self, *flags, **variables):
        more = ("--state-dir", f"{self.folder}/state", "--allow", f"net.fetch={self.other.url}", "--timeout", "1h", "--set", "functions.records=file", "--set", "functions.record_payloads=all",
                "--set", f"functions.admin_token={hashlib.sha256(TOKEN.encode()).hexdigest()}", *flags)
        return serving(("out", guests / "hello-python.wasm"), flags=more, env=variables)

    def entries(self, journal):
        """The lines of a journal without the sum, as far as they are whole."""
        shown = berth("trace", "show", journal, home=str(self.folder))
        return shown.stdout.splitlines()[:-1] if shown.returncode == 0 else []

    def left(self):
        journals = list(self.calls.glob("*.bj"))
        return self.entries(journals[0]) if journals else []


def ended(server):
    """The record of the only call, once it is over."""
    status, _, text = ask(f"{server.url}/api/executions", headers=ADMIN)
    assert status == 200, (status, text)
    listed = json.loads(text)["executions"]
    if len(listed) != 1 or listed[0]["status"] not in ENDED:
        return None
    return json.loads(ask(f"{server.url}/api/executions/{listed[0]['id']}", headers=ADMIN)[2])


def killed(house, number, side):
    """Whether the server was killed there; else the call came to its end before."""
    with house.serving(LD_PRELOAD=str(preloaded), KILL_AT_PATH=str(house.calls.resolve()), KILL_AT_WRITE=str(number), KILL_AT_SIDE=side, ASAN_OPTIONS="verify_asan_link_order=0") as server:
        try:
            ask(f"{server.url}/api/functions/out", json.dumps({"ask": [f"{house.other.url}/{each}" for each in ASKED]}).encode(), {"Prefer": "respond-async", "content-type": "application/json"})
        except (urllib.error.URLError, http.client.HTTPException, ConnectionError):
            pass  # killed before it could answer; what it had accepted is in its records

        def over():
            try:
                return server.poll() is not None or ended(server) is not None
            except (urllib.error.URLError, http.client.HTTPException, ConnectionError):
                server.wait(timeout=600)
                return True

        until(over)
        return server.poll() is not None


def outcome_of(left):
    """What must come of a call that left these entries."""
    handled = [entry for entry in left if entry.get("f") == "wasi:http/outgoing-handler.handle" and entry["t"] == "call"]
    if not handled or left[-1]["t"] == "end":
        return "success"
    known = any(entry["t"] == "done" and entry["n"] == handled[-1]["n"] for entry in left)
    # An outcome that is known is given, and what it opened has ended with the host.
    return "host_restarted" if known else "unknown_outcome"


def taken_up(number, side):
    """How the call ended in the server behind the one that was killed; nothing when none was."""
    with tempfile.TemporaryDirectory(prefix="berth-killed-") as folder, peer() as other:
        house = House(folder, other)
        if not killed(house, number, side):
            return None
        lines = house.left()
        left = [json.loads(line) for line in lines]
        with house.serving("--record", str(house.journals)) as server:
            record = until(lambda: ended(server))
        at = (side, number, lines[-1:], record, other.seen)
        outcome = record["error"]["code"] if record["status"] == "failed" else record["status"]
        assert outcome == outcome_of(left), at
        asked = {each: other.seen.count(f"GET /{each}") for each in ASKED}
        assert all(count <= 1 for count in asked.values()), at
        if outcome == "success":
            assert record["output"] == [f"reached 200 GET /{each} " for each in ASKED] and all(asked.values()), at
        # What the guest had been given stands in the journal as it stood, what came then behind it, and all of it replays.
        journal = house.journals / f"{record['id']}.bj"
        assert house.entries(journal)[:len(lines)] == lines, at
        replayed = berth("replay", journal, home=folder)
        assert "equal to the recording" in replayed.stderr, (at, replayed)
        assert list(house.calls.iterdir()) == [], at
        return outcome


@case
def a_recorded_component_is_taken_up_wherever_its_server_was_killed():
    ends = collections.Counter()
    for number in range(1, 1000):
        for side in ("before", "behind"):
            outcome = taken_up(number, side)
            if outcome is None:  # there are no more writes than these
                assert number > 6 and min(ends[each] for each in ("success", "unknown_outcome", "host_restarted")) > 0, (number, ends)
                return
            ends[outcome] += 1
