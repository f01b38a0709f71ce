#!/usr/bin/env python3
"""Runs the command-line cases below tests/cli: one file a case, named after the fact that it states.

    $ berth run fixtures/add.wat add 1 2     a command; `berth` is the binary under test, the folder is a copy of tests/cli
    < text                                   its standard input (several lines add up; none: empty)
    env NAME=VALUE                           for the command above
    exit 0                                   its exit status
    stdout= text                             a line of standard output, exactly; several in order are the whole of it
    stdout~ regex / stderr~ regex            somewhere in it
    stdout! regex / stderr! regex            nowhere in it
    unless SYMBOL                            the case is left out where the binary has this symbol (a sanitizer's)

Prints a line a failure and last `N passed, N failed`; writes the outcomes as JSON for the conformance report.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

binary, out_file = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
only = sys.argv[3] if len(sys.argv) > 3 else ""
root = Path(__file__).resolve().parent
contents = binary.read_bytes()


def steps_of(text):
    steps = []
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith(("#", "unless ")):
            continue
        if line.startswith("$ "):
            steps.append({"line": number, "command": line[2:], "input": "", "env": {}, "checks": []})
        elif line.startswith("< "):
            steps[-1]["input"] += line[2:] + "\n"
        elif line.startswith("env "):
            name, value = line[4:].split("=", 1)
            steps[-1]["env"][name] = value
        else:
            kind, _, rest = line.partition(" ")
            if kind not in ("exit", "stdout=", "stdout~", "stderr~", "stdout!", "stderr!"):
                raise SystemExit(f"line {number}: unknown check {kind}")
            steps[-1]["checks"].append((kind, rest))
    return steps


def problems_of(step, folder):
    environment = {"PATH": f"{folder}/bin:{os.environ['PATH']}", "HOME": str(folder / "home"), "LC_ALL": "C.UTF-8"} | step["env"]
    done = subprocess.run(["bash", "-c", step["command"]], input=step["input"].encode(), capture_output=True, cwd=folder, env=environment, timeout=600)
    stdout, stderr = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    found = []
    exact = [rest for kind, rest in step["checks"] if kind == "stdout="]
    if exact and stdout.splitlines() != exact:
        found.append(f"stdout is {stdout!r}, not {exact!r}")
    for kind, rest in step["checks"]:
        if kind == "exit" and done.returncode != int(rest):
            found.append(f"exit {done.returncode}, not {rest}; stderr: {stderr.strip()[:400]}")
        stream = stdout if kind.startswith("stdout") else stderr
        if kind.endswith("~") and not re.search(rest, stream):
            found.append(f"{kind} {rest} does not match {stream.strip()[:400]!r}")
        if kind.endswith("!") and re.search(rest, stream):
            found.append(f"{kind} {rest} matches {stream.strip()[:400]!r}")
    return found


outcomes = {}
for case in sorted(root.rglob("*.case")):
    name = case.relative_to(root).with_suffix("").as_posix()
    text = case.read_text()
    if only and only not in name or any(symbol.encode() in contents for symbol in re.findall(r"^unless (\S+)$", text, re.M)):
        continue
    with tempfile.TemporaryDirectory(prefix="berth-cli-") as temporary:
        folder = Path(temporary)
        shutil.copytree(root / "fixtures", folder / "fixtures")
        (folder / "bin").mkdir()
        (folder / "home").mkdir()
        (folder / "bin" / "berth").symlink_to(binary)
        failures = []
        for step in steps_of(text):
            failures += [f"{name}:{step['line']}: {problem}" for problem in problems_of(step, folder)]
        outcomes[name] = not failures
        for failure in failures:
            print(failure)
out_file.parent.mkdir(parents=True, exist_ok=True)
out_file.write_text(json.dumps(outcomes, indent=1))
print(f"{sum(outcomes.values())} passed, {len(outcomes) - sum(outcomes.values())} failed")
sys.exit(0 if all(outcomes.values()) and outcomes else 1)
