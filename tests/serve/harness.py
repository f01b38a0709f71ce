"""What the cases of tests/serve share: the list of cases, a server on a free port, and clients."""
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
from berth_host import started  # noqa: E402
from cases import Cases  # noqa: E402

binary = Path(sys.argv[1]).resolve()
root = Path(__file__).resolve().parent.parent.parent
cases = Cases()
case = cases.case


@contextlib.contextmanager
def serving(*arguments, env=None, verb="serve", cwd=None):
    with tempfile.TemporaryDirectory(prefix="berth-serve-") as home:
        inherited = {name: os.environ[name] for name in ("PATH", "BERTH_ENGINE_FIBERS", "BERTH_ENGINE_RESTORE") if name in os.environ}
        environment = inherited | {"HOME": home, "LC_ALL": "C.UTF-8"} | (env or {})
        with started([binary, *verb.split(), *arguments], environment, cwd) as process:
            yield process


def leb(number):
    out = b""
    while True:
        number, low = number >> 7, number & 0x7F
        out += bytes([low | (0x80 if number else 0)])
        if not number:
            return out


def large_module(functions):
    """A reactor of many functions of 600 bytes each: something that takes a while to compile."""

    def section(kind, content):
        return bytes([kind]) + leb(len(content)) + content

    body = b"\x00\x41\x01" + b"\x41\x03\x6a" * 200 + b"\x0b"
    return (
        b"\0asm\1\0\0\0"
        + section(1, b"\x02\x60\x00\x01\x7f\x60\x00\x00")
        + section(3, leb(functions + 1) + b"\x01" + b"\x00" * functions)
        + section(7, b"\x01\x06_start\x00\x00")
        + section(10, leb(functions + 1) + b"\x02\x00\x0b" + (leb(len(body)) + body) * functions)
    )


@contextlib.contextmanager
def running(*arguments, home):
    """`berth run`, with what it writes to either stream readable as it comes."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "TMPDIR": str(home), "LC_ALL": "C.UTF-8"}
    process = subprocess.Popen([binary, "run", *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def ask(method, url, body=None, headers=None, context=None):
    """Status, body as bytes, headers with names in lower case."""
    request = urllib.request.Request(url, data=body, headers=headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=600, context=context) as answer:
            return answer.status, answer.read(), {name.lower(): value for name, value in answer.headers.items()}
    except urllib.error.HTTPError as error:
        return error.code, error.read(), {name.lower(): value for name, value in error.headers.items()}


def post(url, body, content_type="application/json"):
    request = urllib.request.Request(url, data=body.encode(), headers={"Content-Type": content_type})
    try:
        with urllib.request.urlopen(request, timeout=600) as answer:
            return answer.status, answer.read().decode(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(), dict(error.headers)


def get(url):
    try:
        with urllib.request.urlopen(url, timeout=600) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def equal(found, expected):
    assert found == expected, f"{found!r} is not {expected!r}"
