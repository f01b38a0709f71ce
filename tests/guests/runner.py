#!/usr/bin/env python3
"""Runs programs of others under `berth run`: the prebuilt guests of five tool chains (Rust, TinyGo, Zig, Zig's C, text)
that ship in the Go module wazero, and gojq built for wasip1 beside the same sources built for this machine. Prints a
line a failure and last `N passed, N failed`.

    runner.py BERTH OUT_FILE

The modules come through the Go proxy, checked against go.sum, into Go's own cache; the next run needs no network. Where
the proxy is out of reach nothing runs and nothing counts as passed."""
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

binary, out_file = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
here = Path(__file__).resolve().parent
TOOL_CHAINS = ("cargo-wasi", "tinygo", "zig-cc", "zig")
cases = {}


def case(function):
    cases[function.__name__.replace("_", "-")] = function
    return function


def each(*names):
    """A case of its own for each name."""

    def declare(function):
        for name in names:
            cases[f"{function.__name__.replace('_', '-')}[{name}]"] = lambda name=name: function(name)
        return function

    return declare


def go(*arguments, target=None):
    """A command of Go in this folder; its standard output. What goes wrong on the network is tried again."""
    environment = os.environ | {"GOTOOLCHAIN": "local", "GOWORK": "off", "GOFLAGS": "-mod=readonly", "CGO_ENABLED": "0"} | (target or {})
    for _ in range(3):
        done = subprocess.run(["go", *arguments], cwd=here, env=environment, capture_output=True, text=True)
        if done.returncode == 0:
            return done.stdout
    raise RuntimeError(f"go {' '.join(map(str, arguments))}: {done.stdout}{done.stderr}"[:2000])


def run(file, *arguments, flags=(), mount=None, stdin=b""):
    mounts = ["--mount", f".={mount}"] if mount else []
    environment = {"PATH": os.environ["PATH"], "HOME": str(scratch), "LC_ALL": "C.UTF-8"}
    return subprocess.run([binary, "run", "--quiet", *mounts, *flags, file, "--", *arguments], input=stdin, capture_output=True, env=environment, timeout=600)


def expect(done, output, status=0):
    assert (done.returncode, done.stdout) == (status, output), done


def suite(tool_chain):
    return modules / "imports/wasi_snapshot_preview1/testdata" / tool_chain / "wasi.wasm"


def lines(*names, tool_chain):
    """A listing; guests of C see the folder itself and the one above it."""
    dots = (b"./.", b"./..") if tool_chain == "zig-cc" else ()
    return sorted((*dots, *(b"./" + name for name in names)))


@each(*TOOL_CHAINS)
def lists_a_folder(tool_chain):
    listing = run(suite(tool_chain), "ls", ".", mount=tree)
    assert listing.returncode == 0 and sorted(listing.stdout.splitlines()) == lines(b"-", b"a-", b"ab-", tool_chain=tool_chain), listing
    empty = run(suite(tool_chain), "ls", "./a-", mount=tree)
    assert empty.returncode == 0 and sorted(empty.stdout.splitlines()) == lines(tool_chain=tool_chain), empty


@each("cargo-wasi", "zig-cc", "zig")  # TinyGo's library of that time cannot read a folder twice
def lists_a_folder_twice(tool_chain):
    twice = run(suite(tool_chain), "ls", ".", "repeat", mount=tree)
    assert twice.returncode == 0 and sorted(twice.stdout.splitlines()) == sorted(2 * lines(b"-", b"a-", b"ab-", tool_chain=tool_chain)), twice


@each(*TOOL_CHAINS)
def tells_that_a_file_is_no_folder(tool_chain):
    expect(run(suite(tool_chain), "ls", "-", mount=tree), b"ENOTDIR\n")


@each(*TOOL_CHAINS)
def lists_eight_thousand_files(tool_chain):
    listing = run(suite(tool_chain), "ls", ".", mount=tons)
    assert listing.returncode == 0 and sorted(listing.stdout.splitlines()) == lines(*(str(i).encode() for i in range(8096)), tool_chain=tool_chain)


@each(*TOOL_CHAINS)
def nothing_is_a_terminal(tool_chain):
    expect(run(suite(tool_chain), "stat", mount=tree), b"stdin isatty: false\nstdout isatty: false\nstderr isatty: false\n/ isatty: false\n")


@each(*TOOL_CHAINS)
def cat_prints_a_file_and_misses_another(tool_chain):
    cat = modules / "imports/wasi_snapshot_preview1/example/testdata" / tool_chain / "cat.wasm"
    expect(run(cat, "greeting.txt", mount=texts), b"greet filesystem\n")
    missing = run(cat, "none.txt", mount=texts)
    assert missing.returncode == 1 and missing.stdout == b"", missing
    ungranted = run(cat, "greeting.txt")
    assert ungranted.returncode != 0 and ungranted.stdout == b"", ungranted


@case
def mounts_are_told_in_order():
    expect(run(suite("zig"), "preopen", mount=tree, flags=("--mount", f"tmp={tons}")), b"0: stdin\n1: stdout\n2: stderr\n3: /\n4: /tmp\n")


def polls(*arguments, given=b"", is_closed=True):
    """What the guest's poll of its standard input says; the pipe is as told before the guest begins and stays so."""
    reading, writing = os.pipe()
    with contextlib.ExitStack() as closing:
        closing.callback(os.close, reading)
        os.write(writing, given)
        if is_closed:
            os.close(writing)
        else:
            closing.callback(os.close, writing)
        environment = {"PATH": os.environ["PATH"], "HOME": str(scratch)}
        return subprocess.run([binary, "run", "--quiet", suite("zig-cc"), "--", "poll", *arguments], stdin=reading, capture_output=True, env=environment, timeout=600)


@case
def poll_sees_input_its_end_and_nothing():
    expect(polls(given=b"test", is_closed=False), b"STDIN\n")
    expect(polls("0", "500", given=b"test"), b"STDIN\n")
    expect(polls("0", "500"), b"STDIN\n")
    expect(polls("0", "10", is_closed=False), b"NOINPUT\n")


@case
def sleeps():
    expect(run(suite("zig-cc"), "sleepmillis", "1"), b"OK\n")


@case
def files_are_opened_for_one_direction():
    for direction in ("open-rdonly", "open-wronly"):
        expect(run(suite("zig-cc"), direction, flags=("--mount", f".={tree}:rw")), b"OK\n")
        refused = run(suite("zig-cc"), direction, mount=tree)
        assert refused.stdout == b"" and b"ERR: open: Read-only file system" in refused.stderr, refused
    assert sorted(path.name for path in tree.iterdir()) == ["-", "a-", "ab-"], "each removes its file"


@case
def reads_a_file_without_blocking():
    expect(run(suite("zig-cc"), "nonblock", "greeting.txt", mount=texts), b"\ngreet filesystem\n\n")


@case
def arguments_and_environment_arrive():
    folder = modules / "imports/wasi_snapshot_preview1/testdata"
    expect(run(folder / "print_args.wasm", "foo", "bar"), b"print_args\0foo\0bar\0")
    expect(run(folder / "print_prestat_dirname.wasm", mount=tree), b"/")
    shipped = modules / "cmd/wazero/testdata"
    expect(run(shipped / "wasi_arg.wasm", "hello world"), b"wasi_arg\0hello world\0")
    expect(run(shipped / "wasi_env.wasm", flags=("--env", "ANIMAL=bear", "--env", "FOOD=sushi")), b"ANIMAL=bear\0FOOD=sushi\0")
    expect(run(shipped / "wasi_env.wasm"), b"")
    expect(run(shipped / "wasi_random_get.wasm"), b"")
    expect(run(modules / "examples/cli/testdata/cli.wasm", "3", "4"), b"result: 7\n")


@case
def ends_as_it_says_and_as_the_host_says():
    folder = modules / "imports/wasi_snapshot_preview1/testdata"
    expect(run(folder / "exit_on_start.wasm"), b"", 2)
    older = run(folder / "exit_on_start_unstable.wasm")
    assert older.returncode == 67 and b"wasi_unstable.proc_exit" in older.stderr, older
    endless = run(modules / "cmd/wazero/testdata/infinite_loop.wasm", flags=("--timeout", "100ms"))
    assert endless.returncode == 124 and b"error[timeout]" in endless.stderr, endless


DOCUMENT = json.dumps({"users": [{"name": f"user {i}", "age": i * 7 % 90, "tags": ["a", "é", "\U0001f600"][: i % 4]} for i in range(400)], "pi": 3.141592653589793, "big": 12345678901234567890}).encode()
FILTERS = (
    ("the-document", (".",), DOCUMENT),
    ("compact-and-sorted", ("-c", ".users | map(select(.age > 40)) | sort_by(.age, .name) | .[:20]"), DOCUMENT),
    ("groups-and-sums", ("-c", "[.users[] | {key: (.age / 10 | floor | tostring), n: 1}] | group_by(.key) | map({(.[0].key): (map(.n) | add)}) | add"), DOCUMENT),
    ("text-and-expressions", ("-r", r'.users[:9][] | "\(.name | ascii_upcase): \(.tags | join("/")) \(.name | test("user [1-5]"))"'), DOCUMENT),
    ("numbers", ("-c", "[.pi, .big, .big + 1, (.pi | sin * 1e9 | floor), (17 | sqrt), ([range(1; 30)] | reduce .[] as $x (1; . * $x))]"), DOCUMENT),
    ("arguments", ("-n", "-c", "--arg", "a", "b c", "--argjson", "n", "[1,2]", "{$a, $n, all: $__prog_args?}"), b""),
    ("times", ("-n", "-c", '[0, 1e9, 1700000000 | todate, (todate | fromdate)], ("2024-02-29T12:00:00Z" | fromdate | gmtime)'), b""),
    ("deep-recursion", ("-c", "[limit(5; recurse(if . < 20000 then . + 1 else empty end))], ([range(5000)] | tojson | length), (last(range(100000)))"), b"1"),
    ("a-stream-of-values", ("-c", "--stream", ".users[:1]"), b'{"users":[1,[2,{"x":null}]]} {"users":[]}'),
    ("yaml", ("--yaml-input", "-c", "."), b"a: [1, two, {b: null}]\nc: >-\n  folded\n  text\n"),
    ("an-error-of-the-input", ("-c", "."), b'{"a": [1, 2'),
    ("an-error-of-the-filter", (".users[",), DOCUMENT),
    ("an-error-of-the-program", ("-c", ".users[0] + 1"), DOCUMENT),
    ("a-status-of-its-own", ("-n", "-e", "null, false"), b""),
    ("halts", ("-n", '"stopped\n" | halt_error(3)'), b""),
)


@each(*(name for name, _, _ in FILTERS))
def gojq_does_the_same_as_natively(name):
    _, arguments, stdin = next(row for row in FILTERS if row[0] == name)
    native = subprocess.run([scratch / "gojq", *arguments], input=stdin, capture_output=True, env={})
    guest = run(scratch / "gojq.wasm", *arguments, stdin=stdin)
    assert (guest.returncode, guest.stdout, guest.stderr) == (native.returncode, native.stdout, native.stderr), (native, guest)
    assert native.stdout or native.stderr, native


def main():
    passed, results = 0, {}
    for name, function in cases.items():
        try:
            function()
            passed, results[name] = passed + 1, True
        except (AssertionError, OSError, ValueError, subprocess.SubprocessError) as problem:
            results[name] = False
            print(f"FAILED {name}: {problem!r}"[:2000])
    out_file.parent.mkdir(parents=True, exist_ok=True)
    out_file.write_text(json.dumps(results))
    print(f"{passed} passed, {len(cases) - passed} failed")
    return 0 if passed == len(cases) else 1


with tempfile.TemporaryDirectory(prefix="berth-guests-") as folder:
    scratch = Path(folder)
    tree, tons, texts = scratch / "tree", scratch / "tons", scratch / "texts"
    for made in (tree, tons, texts, tree / "a-", tree / "ab-"):
        made.mkdir()
    (tree / "-").write_text("")
    (texts / "greeting.txt").write_text("greet filesystem\n")
    for i in range(8096):
        (tons / str(i)).touch()
    try:
        modules = Path(json.loads(go("mod", "download", "-json", "github.com/tetratelabs/wazero"))["Dir"])
        go("build", "-o", scratch / "gojq", "github.com/itchyny/gojq/cmd/gojq")
        go("build", "-o", scratch / "gojq.wasm", "github.com/itchyny/gojq/cmd/gojq", target={"GOOS": "wasip1", "GOARCH": "wasm"})
    except RuntimeError as problem:
        out_of_reach = any(word in str(problem) for word in ("dial tcp", "no such host", "i/o timeout", "connection refused", "network is unreachable", "TLS handshake", "proxyconnect", "server response:"))
        print(f"{'not run, the Go proxy is out of reach' if out_of_reach else 'FAILED to fetch and build'}: {problem}")
        print(f"0 passed, {0 if out_of_reach else len(cases)} failed")
        sys.exit(0 if out_of_reach else 1)
    status = main()
sys.exit(status)
