"""What the suites of functions share: a host in a folder of its own, requests, processes by their mark."""
import contextlib
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import urllib.parse
from pathlib import Path

root = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(root / "tests/support"))
from cases import Cases, until  # noqa: E402, F401: for the suites as well

binary = None  # set by the runner


class Host:
    """A running berth: its address, what it printed, requests to it."""

    def __init__(self, process, url, out, errors):
        self.process, self.url, self.out, self.errors = process, url, out, errors

    def request(self, method, path, body=None, headers=None):
        address = urllib.parse.urlsplit(self.url)
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=600)
        connection.request(method, path, body=body.encode() if isinstance(body, str) else body, headers=headers or {})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return answer.status, text, {name.lower(): value for name, value in answer.getheaders()}

    def call(self, name, value=None, headers=None):
        """Status and envelope of a call; `value` is JSON text, or made into it."""
        body = value if isinstance(value, (str, bytes)) else json.dumps(value if value is not None else {})
        status, text, _ = self.request("POST", f"/api/functions/{name}", body, {"Content-Type": "application/json", **(headers or {})})
        return status, json.loads(text)

    def get(self, path, headers=None):
        status, text, _ = self.request("GET", path, headers=headers)
        return status, json.loads(text)


@contextlib.contextmanager
def host(functions, *arguments, verb=("serve",), env=None, project=None, folder=None, wrapper=()):
    """Starts `berth serve` (or another verb) on a free port with its own state and home, and ends it. Without `functions` it
    serves what the configuration of its folder says."""
    with tempfile.TemporaryDirectory(prefix="berth-fn-") as home:
        environment = {"PATH": os.environ["PATH"], "HOME": home, "XDG_STATE_HOME": home + "/state", "XDG_CACHE_HOME": os.environ.get("XDG_CACHE_HOME", os.environ["HOME"] + "/.cache"),
                       "GOCACHE": os.environ.get("GOCACHE", os.environ["HOME"] + "/.cache/go-build"), "LC_ALL": "C.UTF-8"}
        for name in ("CARGO_HOME", "RUSTUP_HOME", "GOPATH", "GOFLAGS", "GOPROXY"):
            if name in os.environ:
                environment[name] = os.environ[name]
        for name, usual in (("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")):
            environment.setdefault(name, os.environ["HOME"] + "/" + usual)
        environment |= env or {}
        words = [*wrapper, binary, *verb, *([str(functions)] if functions else []), "--port", "0", *arguments]
        if project:
            config = Path(home) / "berth.yaml"
            config.write_text(project)
            words += ["--config", str(config)]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, text=True, cwd=folder or home)
        out, errors = [], []
        first = process.stdout.readline()
        readers = [threading.Thread(target=lambda: out.extend(process.stdout), daemon=True), threading.Thread(target=lambda: errors.extend(process.stderr), daemon=True)]
        for reader in readers:
            reader.start()
        try:
            if not first.startswith("Listening on "):
                process.terminate()
                process.wait(timeout=600)
                readers[1].join(timeout=600)
                raise AssertionError(f"it did not listen: {first!r} {''.join(errors)!r}")
            yield Host(process, first.removeprefix("Listening on ").strip(), out, errors)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=600)
            for reader in readers:
                reader.join(timeout=600)
            process.stdout.close()
            process.stderr.close()


def run(*words, cwd, input="", env=None):
    """One command of the binary under test; status, standard output, standard error."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(cwd), "XDG_STATE_HOME": str(Path(cwd) / ".state"), "LC_ALL": "C.UTF-8",
                   "GOCACHE": os.environ.get("GOCACHE", os.environ["HOME"] + "/.cache/go-build"), "CARGO_HOME": os.environ.get("CARGO_HOME", os.environ["HOME"] + "/.cargo"),
                   "RUSTUP_HOME": os.environ.get("RUSTUP_HOME", os.environ["HOME"] + "/.rustup")} | (env or {})
    done = subprocess.run([binary, *words], input=input.encode(), capture_output=True, cwd=cwd, env=environment, timeout=600)
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


@contextlib.contextmanager
def project_of(files):
    """A folder of its own with these files, their texts by their names, and with a folder `functions`. What begins with #! can be executed."""
    with tempfile.TemporaryDirectory(prefix="berth-project-") as temporary:
        project = Path(temporary)
        (project / "functions").mkdir()
        for name, text in files.items():
            file = project / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
            if text.startswith("#!"):
                file.chmod(0o755)
        yield project


@contextlib.contextmanager
def folder_of(files):
    """The folder `functions` of such a project; the names of the files are below it."""
    with project_of({f"functions/{name}": text for name, text in files.items()}) as project:
        yield project / "functions"


def equal(found, expected, what=""):
    assert found == expected, f"{what} {found!r} is not {expected!r}"


def alive(server, function):
    """Ids of the processes that carry the environment of a function of this host, and of no other."""
    marks = [f"ALYX_FUNCTION_NAME={function}\0".encode(), f"ALYX_URL={server.url}\0".encode()]
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError, IndexError):
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            environment = (entry / "environ").read_bytes()
            if state != "Z" and all(mark in environment for mark in marks):
                found.append(int(entry.name))
    return found


def children_of(pid):
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError, ValueError):
                if int((entry / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                    found.append(int(entry.name))
    return found


@contextlib.contextmanager
def refusing(problem, *calls):
    """The words before a program that run it under a filter which refuses these system calls."""
    with tempfile.TemporaryDirectory(prefix="berth-filter-") as temporary:
        program = Path(temporary) / "refuse_calls"
        subprocess.run(["cc", "-O2", "-o", program, root / "tests/functions/refuse_calls.c"], check=True)
        yield (program, problem, *calls, "--")


def make_probe(folder):
    """The fault program, compiled once, as the function `probe` below `folder`."""
    (folder / "probe").mkdir(parents=True)
    subprocess.run(["cc", "-O2", "-o", folder / "probe/handler", root / "tests/functions/fn_probe.c"], check=True)
    return folder / "probe"
