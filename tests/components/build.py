#!/usr/bin/env python3
"""Builds the component of a tool chain from the sources here, unless the cached one was made from the same.

    build.py javascript|python TOOLS_DIR OUT_FILE

The WASI interfaces come from the engine's own crate; the guests are built for 0.2.3, which later hosts take as well."""
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

kind, tools, out = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
here = Path(__file__).resolve().parent
root = here.parent.parent
WORLD = """package berth:guest;
world app {
  import wasi:http/outgoing-handler@0.2.3;
  export wasi:http/incoming-handler@0.2.3;
}
"""


def interfaces():
    """The .wit files of the engine's crate, as of 0.2.3: what is unstable there is left out."""
    listed = subprocess.run(["cargo", "metadata", "--format-version", "1", "--locked", "--manifest-path", root / "rust/berth-native/Cargo.toml"], capture_output=True, text=True, check=True)
    crate = next(package for package in json.loads(listed.stdout)["packages"] if package["name"] == "wasmtime-wasi-http")
    for file in sorted((Path(crate["manifest_path"]).parent / "wit/deps").glob("*.wit")):
        text = re.sub(r"0\.2\.12", "0.2.3", file.read_text())
        yield file.name, re.sub(r"\n *@unstable\([^)]*\)\n *(import|export|include) [^\n]*", "", text)


source = here / kind
files = list(interfaces())
stamp = hashlib.sha256(repr([WORLD, files, Path(__file__).read_text(), [(file.name, file.read_text()) for file in sorted(source.iterdir())]]).encode()).hexdigest()
mark = out.with_suffix(".stamp")
if out.exists() and mark.exists() and mark.read_text() == stamp:
    sys.exit(0)
with tempfile.TemporaryDirectory() as folder:
    wit = Path(folder) / "wit"
    (wit / "deps").mkdir(parents=True)
    (wit / "world.wit").write_text(WORLD)
    for name, text in files:
        (wit / "deps" / name).write_text(text)
    made = Path(folder) / "made.wasm"
    if kind == "javascript":
        command = [tools / "js/node_modules/.bin/jco", "componentize", source / "handler.js", "--wit", wit, "--world-name", "app", "-o", made]
    else:
        shutil.copy(source / "app.py", folder)
        command = [tools / "py/bin/componentize-py", "-d", wit, "-w", "app", "componentize", "app", "-o", made]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{kind}: {done.stdout}{done.stderr}")
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.move(made, out)
    mark.write_text(stamp)
