#!/usr/bin/env python3
"""`berth new` with each template, built by its own build.sh where the tools are, and called.

    run.py BINARY OUTCOMES [TOOLS_DIR…]    folders with programs to find first; last line: `N passed, M failed`
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

binary, out_file = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
path = os.pathsep.join([*sys.argv[3:], os.environ["PATH"]])


def has(*programs):
    return all(shutil.which(program, path=path) for program in programs)


def rust_target():
    if not has("rustc"):
        return False
    folder = subprocess.run(["rustc", "--print", "target-libdir", "--target", "wasm32-wasip1"], capture_output=True, text=True)
    return folder.returncode == 0 and Path(folder.stdout.strip()).is_dir()


c_ready = has("clang-22") and Path("/usr/include/wasm32-wasi/stdio.h").exists()
# Template: whether its tools are here, the input, and the output that it must give.
templates = {
    "c": (c_ready, '{"name":"Ada"}', {"greeting": "Hello, Ada!"}),
    "go": (has("go"), '{"name":"Ada"}', {"greeting": "Hello, Ada!"}),
    "rust": (rust_target(), '{"name":"Ada"}', {"greeting": "Hello, Ada!"}),
    "assemblyscript": (has("asc"), "[20,22]", 42),
    "javascript": (has("jco"), "{}", {"greeting": "Hello, World!"}),
}

outcomes = {}


def check(name, holds, shown=""):
    outcomes[name] = bool(holds)
    if not holds:
        print(f"failed: {name}: {str(shown)[-600:]}")


with tempfile.TemporaryDirectory(prefix="berth-templates-") as temporary:
    folder = Path(temporary)
    home = folder / "home"
    home.mkdir()
    # Compilers keep their caches where they always do.
    kept = {name: os.environ[name] for name in ("GOCACHE", "GOPATH", "GOFLAGS", "CARGO_HOME", "RUSTUP_HOME") if name in os.environ}
    builder = os.environ | {"PATH": path}
    environment = {"PATH": path, "HOME": str(home), "LC_ALL": "C.UTF-8"} | kept

    def berth(*words):
        return subprocess.run([str(binary), *words], capture_output=True, text=True, cwd=folder, env=environment, timeout=600)

    for name, (is_ready, given, expected) in templates.items():
        function = f"made-{name}"
        made = berth("new", function, "-t", name)
        check(f"{name} is written", made.returncode == 0 and (folder / function / "build.sh").exists() and f"next: {function}/build.sh" in made.stdout, made.stdout + made.stderr)
        check(f"{name} has its name everywhere", not any("@NAME@" in file.read_text() for file in (folder / function).rglob("*") if file.is_file()))
        if not is_ready:
            print(f"not built: {name}, whose tools are not here")
            continue
        built = subprocess.run([f"{function}/build.sh"], capture_output=True, text=True, cwd=folder, env=builder, timeout=600)
        check(f"{name} builds", built.returncode == 0, built.stdout + built.stderr)
        if built.returncode != 0:
            continue
        called = berth("invoke", function, f"{function}/functions", "--input", given)
        try:
            answer = json.loads(called.stdout)
        except ValueError:
            answer = None
        check(f"{name} answers", called.returncode == 0 and answer == expected, called.stdout + called.stderr)
    again = berth("new", "made-c", "-t", "c")
    check("nothing is overwritten", again.returncode == 75 or (again.returncode != 0 and "nothing is overwritten" in again.stderr), again.stderr)
    unknown = berth("new", "other", "-t", "assemblyscrip")
    check("an unknown template is refused with the nearest", unknown.returncode == 2 and "did you mean assemblyscript?" in unknown.stderr and not (folder / "other").exists(), unknown.stderr)
    check("a name that is none is refused", berth("new", "1x").returncode == 2)

out_file.parent.mkdir(parents=True, exist_ok=True)
out_file.write_text(json.dumps({name.replace(" ", "-"): held for name, held in outcomes.items()}, indent=1))
print(f"{sum(outcomes.values())} passed, {len(outcomes) - sum(outcomes.values())} failed")
sys.exit(0 if all(outcomes.values()) else 1)
