"""What the README shows of a component: its refused request is explained, granted, replayed with the other side gone, and its receipt
is checked under another state folder."""
import re
import tempfile
from pathlib import Path

from harness import ask, berth, case, guests, out, peer, serving


@case
def a_refused_request_is_explained_granted_replayed_and_vouched_for():
    module = guests / "hello-javascript.wasm"
    with tempfile.TemporaryDirectory(prefix="berth-tour-") as folder:
        journals, receipts, signer, other_home = (Path(folder) / name for name in ("calls", "receipts", "signer", "elsewhere"))
        for each in (journals, receipts, signer, other_home):
            each.mkdir()
        made = berth("keygen", "--no-passphrase", f"{folder}/key", home=str(signer))
        assert made.returncode == 0, made
        recorded = ("--record", journals, "--receipt", receipts, "--key", f"{folder}/key")

        def journal_of(known):
            """The journal that is there beside the known ones; a server that has ended has written its journals whole."""
            (found,) = set(journals.glob("*.bj")) - known
            return found

        with peer() as service:
            with serving(("greeter", module), flags=recorded) as server:
                status, body = out(server, "javascript", f"{service.url}/index")
                assert status == 502 and body.startswith(b"refused"), (status, body)
            refused = journal_of(set())
            explained = berth("policy", "explain", refused, home=str(signer)).stdout
            wanted = re.search(r'wanted net\.fetch on (\S+); refused by preset wasi; add grants: \{net\.fetch: \{origins: \["(\S+)"\]\}\}', explained)
            assert wanted and wanted[1] == wanted[2] == service.url and service.seen == [], explained
            with serving(("greeter", module), flags=(*recorded, "--allow", f"net.fetch={wanted[2]}")) as server:
                assert out(server, "javascript", f"{service.url}/index") == (200, b"reached 200 GET /index ")
                assert ask(f"{server.url}/api/functions/greeter", b'{"name":"Ada"}')[0] == 200
            granted = next(each for each in set(journals.glob("*.bj")) - {refused} if service.url in berth("policy", "suggest", each, home=str(signer)).stdout)
        replayed = berth("replay", granted, home=str(signer))  # the service has ended
        assert replayed.stdout == "reached 200 GET /index " and "equal to the recording: ok" in replayed.stderr, replayed
        elsewhere = {"XDG_STATE_HOME": str(other_home / "state"), "XDG_CACHE_HOME": str(other_home / "cache")}
        checked = berth("verify-receipt", receipts / f"{granted.stem}.receipt", "--journal", granted, "--module", module, "--signer", made.stdout.strip(), "--rerun", home=str(other_home), **elsewhere)
        assert checked.returncode == 0 and "output, fuel, peak memory, exit and journal are equal" in checked.stdout, checked
        swapped = berth("verify-receipt", receipts / f"{refused.stem}.receipt", "--journal", granted, home=str(other_home))
        assert swapped.returncode == 76 and "journal" in swapped.stderr, swapped
