#!/usr/bin/env python3
"""Every document that a verb prints with --format json against the schema that the binary prints for it.

    run.py BINARY OUTCOMES    last line: `N passed, M failed`

Each command below is run with its output into a pipe: every line must be one JSON document whose `$type` has a schema that
it fits, with no colour and no progress in either stream. The types of all schemas must have been seen.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
from json_schema import problem_of  # noqa: E402

binary, out_file = Path(sys.argv[1]).resolve(), Path(sys.argv[2])
cases = Path(__file__).resolve().parent.parent / "cli"

# Command, and the types that it must print. `!` in front: it fails, and its document is a berth.error.
commands = [
    ("version", "version"),
    ("help", "verb"),
    ("help codes", "code"),
    ("help timeout", "code"),
    ("help capabilities", "capability"),
    ("help limits", "limit"),
    ("help schemas", "schema"),
    ("!help no-such-topic", ""),
    ("!help --schema no-such-type", ""),
    ("inspect fixtures/kit.wat", "module"),
    ("inspect fixtures/component.wat", "module"),
    ("!inspect fixtures/mixed/broken.wasm", ""),
    ("world show wasi", "world"),
    ("world show", "world"),
    ("limits fixtures/kit.wat", "limits"),
    ("config --all", "config"),
    ("config check", "config_check"),
    ("!config no.such.key", ""),
    ("doctor", "doctor"),
    ("policy check fixtures/other-policy.yaml", "policy_check"),
    ("policy explain fixtures/wasi.wat", "policy_explanation"),
    ("policy explain fixtures/functions/echo", "policy_explanation"),
    ("policy diff narrow.yaml wide.yaml", "policy_change"),
    ("!policy check fixtures/data/a.txt", ""),
    ("keygen --no-passphrase", "key"),
    ("sign fixtures/kit.wat", "signature"),
    ("verify fixtures/kit.wat", "signature"),
    ("run --record a.bj --receipt a.receipt fixtures/kit.wat add 2 40", None),
    ("run --record b.bj fixtures/kit.wat add 2 41", None),
    ("run --record 01a2041d-96c8-7bb6-b6e5-e643aabca288.bj --deny-all fixtures/wasi.wat clock", None),
    ("run --record denied.bj --deny-all fixtures/wasi.wat clock", None),
    ("!run --call spin --fuel 1000 fixtures/kit.wat", ""),
    ("verify-receipt a.receipt --journal a.bj --rerun", "receipt_check"),
    ("replay a.bj", "replay"),
    ("trace show a.bj", "trace_entry journal"),
    ("trace show denied.bj", "trace_entry journal"),
    ("trace show later.bj", "trace_entry journal"),
    ("trace diff a.bj b.bj", "trace_difference"),
    ("policy explain denied.bj", "refusal"),
    ("policy explain --record . 01a2041d-96c8-7bb6-b6e5-e643aabca288", "refusal"),
    ("!policy explain --url http://127.0.0.1:1 01a2041d-96c8-7bb6-b6e5-e643aabca289", ""),
    ("policy explain a.bj", "no_refusals"),
    ("policy suggest a.bj denied.bj", "policy_suggestion"),
    ("check --determinism fixtures/kit.wat add 2 40", "determinism"),
    ("bench -n 20 -c 2 --against fixtures/kit.wat fixtures/kit.wat add 2 40", "bench"),
    ("bench -n 2 --dir fixtures/functions echo", "bench"),
    ("!bench -n 2 fixtures/kit.wat out_of_bounds", ""),
    ("faults run plan.yaml", "fault faults"),
    ("cache warm fixtures/kit.wat", "cache_warm"),
    ("cache list", "cache_entry"),
    ("cache clear", "cache_clear"),
    ("new fresh -t go", "created"),
    ("fn new hello --runtime python", "created"),
    ("fn list --dir fixtures/functions", "function"),
    ("fn runtimes", "runtime"),
    ("fn check --dir fixtures/functions", "functions_checked"),
    ("fn check --dir warned", "problem functions_checked"),
    ("fn build --dir built", "build"),
    ("fn doctor --dir fixtures/functions", "functions_check"),
    ("!invoke nobody fixtures/functions", ""),
]

outcomes, seen = {}, set()
with tempfile.TemporaryDirectory(prefix="berth-documents-") as temporary:
    folder = Path(temporary)
    shutil.copytree(cases / "fixtures", folder / "fixtures")
    (folder / "home").mkdir()
    shutil.copy(cases.parent.parent / "fuzz/corpus/journal/later_call", folder / "later.bj")  # of an instance that stays
    shutil.copytree(cases / "fixtures/functions/echo", folder / "warned/echo")
    (folder / "warned/echo/manifest.yaml").write_text("secrets: [NOT_THERE]\n")
    (folder / "built/made").mkdir(parents=True)
    (folder / "built/made/index.py").write_text("print()\n")
    (folder / "built/made/manifest.yaml").write_text("runtime: python\nentrypoint: index.py\nbuild: {command: sh, args: [-c, 'echo made > out'], output: out}\n")
    (folder / "narrow.yaml").write_text("policy: 1\ngrants: {log.write: {}}\n")
    (folder / "wide.yaml").write_text("policy: 1\ngrants: {log.write: {}, time.now: {}}\n")
    (folder / "plan.yaml").write_text("plan: 1\nrun: {file: fixtures/kit.wat, call: add, arguments: [2, 40]}\nfaults: {fuel: 2, memory: 2}\n")
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder / "home"), "LC_ALL": "C.UTF-8"}

    def run(words):
        return subprocess.run([str(binary), *words], capture_output=True, cwd=folder, env=environment, stdin=subprocess.DEVNULL, timeout=600)

    types = [json.loads(line)["type"] for line in run(["help", "schemas", "--json"]).stdout.splitlines()]
    schemas = {name: json.loads(run(["help", "--schema", name]).stdout) for name in types}
    for line, expected in commands:
        failures = []
        fails = line.startswith("!")
        words = line.lstrip("!").split()
        # Flags of Berth come before the file; what is behind it may be the guest's.
        at = 2 if words[0] in ("policy", "trace", "cache", "fn", "world", "faults") else 1
        done = run([*words[:at], "--format", "json", *words[at:]])
        text, said = done.stdout.decode(), done.stderr.decode()
        if (done.returncode != 0) != fails and words[:2] not in (["policy", "diff"], ["trace", "diff"], ["doctor"]):
            failures.append(f"status {done.returncode}: {said.strip()[:300]}{text[:300]}")
        if "\x1b" in text or "\x1b" in said or "\r" in text or "\r" in said:
            failures.append("colour or progress in a pipe")
        printed = set()
        if expected is not None:
            for number, document in enumerate(text.splitlines(), 1):
                try:
                    value = json.loads(document)
                    name = value["$type"]
                    printed.add(name)
                    found = problem_of(value, schemas[name]) if name in schemas else f"no schema for {name}"
                except (ValueError, KeyError, TypeError) as error:
                    found = f"{error!r}: {document[:200]}"
                if found:
                    failures.append(f"line {number}: {found}")
            wanted = {"berth.error"} if fails else {"berth." + each for each in expected.split()}
            if printed != wanted:
                failures.append(f"printed {sorted(printed)}, not {sorted(wanted)}")
        seen |= printed
        outcomes[line] = not failures
        for failure in failures[:5]:
            print(f"berth {line}: {failure}")

    # The words of every verb complete, in the shells that are here.
    def completed(shell, line):
        script = run(["completion", shell]).stdout.decode()
        words = line.split(" ")
        asked = " ".join(f"'{word}'" for word in words)
        program = f"{script}\nCOMP_WORDS=({asked}); COMP_CWORD={len(words) - 1}; _berth; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        return subprocess.run(["bash", "-c", program], capture_output=True, cwd=folder, text=True).stdout.split()

    checks = {
        "completion of a verb": lambda: "inspect" in completed("bash", "berth ins"),
        "completion of a verb's part": lambda: {"explain", "suggest", "diff", "check"} <= set(completed("bash", "berth policy ")),
        "completion of a flag": lambda: completed("bash", "berth run --det") == ["--deterministic"],
        "completion of a part's flag": lambda: "--policy" in completed("bash", "berth policy explain --pol"),
        "completion of a file": lambda: "fixtures" in completed("bash", "berth run fix"),
        "nothing completes to what is no word": lambda: completed("bash", "berth run --no-such") == [],
        "a shell that is none is refused": lambda: run(["completion", "tcsh"]).returncode == 2,
    }
    for shell in ("zsh", "fish"):
        text = run(["completion", shell]).stdout.decode()
        checks[f"completion {shell} names every verb"] = lambda text=text: all(re.search(rf"\b{re.escape(json.loads(line)['name'])}\b", text) for line in run(["help", "--json"]).stdout.splitlines())
        if shutil.which(shell):
            (folder / f"completion.{shell}").write_text(text)
            checks[f"completion {shell} is a script"] = lambda shell=shell: subprocess.run([shell, "-n", f"completion.{shell}"], cwd=folder).returncode == 0
    for name, check in checks.items():
        outcomes[name] = bool(check())
        if not outcomes[name]:
            print(f"failed: {name}")

# What verbs print that talk to a running host is looked at where such a host runs (tests/serve).
left = set(schemas) - seen - {"berth.listening", "berth.call", "berth.call_cancelled", "berth.log", "berth.revoked", "berth.revocation"}
outcomes["every schema was needed"] = not left
if left:
    print(f"no command printed {sorted(left)}")
out_file.parent.mkdir(parents=True, exist_ok=True)
out_file.write_text(json.dumps({name.replace(" ", "-"): held for name, held in outcomes.items()}, indent=1))
print(f"{sum(outcomes.values())} passed, {len(outcomes) - sum(outcomes.values())} failed")
sys.exit(0 if all(outcomes.values()) else 1)
