"""One suite for the SDKs of every language, the examples, and the templates."""
import contextlib
import json
import re
import shutil
import tempfile
from pathlib import Path

from support import Cases, alive, equal, folder_of, host, project_of, root, until

cases = Cases()
case = cases.case
kinds = {"node": "js", "deno": "js", "bun": "js", "python": "python", "ruby": "ruby", "go": "go", "rust": "rust"}

# The schema of the validation cases, once; each language gets it in its own words.
fields = [{"name": "s", "type": "string", "minLength": 2, "maxLength": 4, "pattern": "^[a-z]*$"}, {"name": "n", "type": "number", "min": 1, "max": 9}, {"name": "i", "type": "integer"}, {"name": "b", "type": "boolean"},
          {"name": "l", "type": "array", "items": {"type": "string", "maxLength": 3}}, {"name": "o", "type": "object"}, {"name": "e", "enum": ["red", "green", 3]}, {"name": "r", "type": "string", "required": True}]
checks = [({"r": "x"}, None), ({}, ("r", "required")), ({"r": None}, ("r", "required")), ({"r": 5}, ("r", "type")), ({"r": "x", "s": "a"}, ("s", "minLength")), ({"r": "x", "s": "abcde"}, ("s", "maxLength")), ({"r": "x", "s": "ABC"}, ("s", "pattern")),
          ({"r": "x", "s": "äöü"}, ("s", "pattern")), ({"r": "x", "s": "abcd"}, None), ({"r": "x", "s": 5}, ("s", "type")), ({"r": "x", "n": 0}, ("n", "min")), ({"r": "x", "n": 9.5}, ("n", "max")), ({"r": "x", "n": 9}, None),
          ({"r": "x", "n": "9"}, ("n", "type")), ({"r": "x", "i": 1.5}, ("i", "type")), ({"r": "x", "i": 2}, None), ({"r": "x", "i": 2.0}, None), ({"r": "x", "b": 1}, ("b", "type")), ({"r": "x", "b": False}, None), ({"r": "x", "l": "x"}, ("l", "type")),
          ({"r": "x", "l": ["a", 5]}, ("l[1]", "type")), ({"r": "x", "l": ["a", "abcd"]}, ("l[1]", "maxLength")), ({"r": "x", "o": []}, ("o", "type")), ({"r": "x", "e": "blue"}, ("e", "enum")), ({"r": "x", "e": 3}, None), ({"r": "x", "s": None}, None)]


def schema_text(language):
    plain = {one["name"]: {key: value for key, value in one.items() if key != "name"} for one in fields}
    if language == "js":
        return "schema.mjs", "export default " + json.dumps(plain) + ";\n"
    if language == "python":
        return "schema.py", "schema = " + repr(plain) + "\n"
    if language == "ruby":
        return "schema.rb", "SCHEMA = JSON.parse(" + json.dumps(json.dumps(plain)) + ")\n"
    if language == "go":
        def field(one):
            parts = [f'{key[0].upper() + key[1:]}: {json.dumps(value)}' for key, value in one.items() if key in ("name", "type", "pattern", "required")]
            parts += [f'{key[0].upper() + key[1:]}: berthfn.Of({value if key.endswith("Length") else float(value)})' for key, value in one.items() if key in ("minLength", "maxLength", "min", "max")]
            if "enum" in one:
                parts.append("Enum: []any{" + ", ".join(json.dumps(value) for value in one["enum"]) + "}")
            if "items" in one:
                parts.append("Items: &berthfn.Field" + field(one["items"]))
            return "{" + ", ".join(parts) + "}"
        return "schema.go", 'package main\n\nimport "probe/berthfn"\n\nvar schema = berthfn.Schema{\n' + "".join(f"\t{field(one)},\n" for one in fields) + "}\n"

    def field(one):
        parts = []
        for key, value in one.items():
            if key == "name":
                parts.append(f"name: {json.dumps(value)}")
            elif key == "type":
                parts.append(f"kind: {json.dumps(value)}")
            elif key == "required":
                parts.append("required: true")
            elif key in ("minLength", "maxLength"):
                parts.append(f"{'min_length' if key == 'minLength' else 'max_length'}: Some({value})")
            elif key in ("min", "max"):
                parts.append(f"{key}: Some({float(value)})")
            elif key == "pattern":
                parts.append('pattern: Some(("^[a-z]*$", |text| text.chars().all(|c| c.is_ascii_lowercase())))')
            elif key == "enum":
                parts.append("one_of: vec![" + ", ".join(f"Json::from({json.dumps(value)}{'i64' if isinstance(value, int) else ''})" for value in value) + "]")
            elif key == "items":
                parts.append(f"items: Some(Box::new({field(value)}))")
        return "Field { " + ", ".join(parts) + ", ..Field::default() }"
    return "schema.rs", "use crate::berth_fn::{Field, Json};\n\npub fn schema() -> Vec<Field> {\n    vec![\n" + "".join(f"        {field(one)},\n" for one in fields) + "    ]\n}\n"


def make(folder, name, runtime, manifest=""):
    """The suite's handler in the language of a runtime, with its SDK, as a function."""
    language = kinds[runtime]
    target = folder / name
    shutil.copytree(root / "tests/functions/sdk" / language, target)
    shutil.copytree(root / "sdk/fn" / language, target, dirs_exist_ok=True)
    file, text = schema_text(language)
    (target / file).write_text(text)
    (target / "manifest.yaml").write_text(f"runtime: {runtime}\ntimeout: 15m\nqueue_timeout: 3m\nenv: {{GIVEN: value}}\n{manifest}")


def each_runtime(function):
    for runtime in kinds:
        cases[f"{function.__name__.replace('_', '-')}[{runtime}]"] = lambda runtime=runtime: function(runtime)
    return function


@each_runtime
def sdk_conforms(runtime):
    with tempfile.TemporaryDirectory(prefix="berth-sdk-") as temporary:
        folder = Path(temporary) / "functions"
        make(folder, "sdk", runtime)
        for name, code in (("echo", "import json, sys\nprint(json.dumps({'success': True, 'output': json.load(sys.stdin)['input']}))\n"),
                           ("refuses", "import json\nprint(json.dumps({'success': False, 'error': {'code': 'FORBIDDEN', 'message': 'never', 'details': {'d': 1}}}))\n")):
            (folder / name).mkdir()
            (folder / name / "index.py").write_text(code)
        with host(folder, verb=("fn", "dev")) as server:
            def call(do, **more):
                return server.call("sdk", {"do": do, **more})
            for value in (None, True, 5, 1.5, "text \u2028 \u00e4 \U0001f600", ["a", {"b": []}], {"k": {"n": None}}):
                status, answer = call("echo", value=value)
                equal((status, answer["output"]), (200, value))
            equal(call("missing")[1]["output"], None)
            status, answer = call("fail")
            equal((status, answer["error"]["code"], answer["error"]["message"], answer["error"]["details"], answer["error"]["origin"]), (409, "CONFLICT", "it is taken", {"a": 1}, "guest"))
            status, answer = call("throw")
            equal((status, answer["error"]["code"]), (500, "FUNCTION_ERROR"))
            assert "unexpected" in answer["error"]["message"], answer
            equal(call("print")[1]["output"], "printed")
            until(lambda: any("printed text" in line for line in server.out))
            if runtime != "rust":
                until(lambda: any("raw text" in line for line in server.out))
            if runtime in ("python", "ruby"):
                until(lambda: any("native text" in line for line in server.out))
            equal(len(call("big")[1]["output"]), 1 << 20)
            for do in ("nan", "cycle"):
                status, answer = call(do)
                equal((status, answer["error"]["code"]), (500, "FUNCTION_ERROR"), do)
                assert "result is not JSON" in answer["error"]["message"], answer
            entries = call("log")[1]["logs"]
            equal([(one["level"], one["message"]) for one in entries], [("debug", "d"), ("info", "i"), ("warn", "w"), ("error", "e")])
            equal(entries[1]["data"], {"k": 1})
            assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", one["timestamp"]) for one in entries), entries
            equal(call("context")[1]["output"], {"auth": None, "env": {"GIVEN": "value"}, "name": "sdk", "id": 36, "deadline": True, "url": True, "token": 64})
            equal(call("invoke")[1]["output"], {"x": 1})
            status, answer = call("invoke-fails")
            equal((status, answer["error"]["code"], answer["error"]["message"], answer["error"]["details"]), (403, "FORBIDDEN", "never", {"d": 1}))
            equal(call("async")[1]["output"], "later")
            equal(call("other")[0], 400)


@each_runtime
def schemas_are_checked_alike(runtime):
    with tempfile.TemporaryDirectory(prefix="berth-sdk-") as temporary:
        folder = Path(temporary) / "functions"
        make(folder, "sdk", runtime)
        manifest = folder / "sdk/manifest.yaml"
        manifest.write_text(manifest.read_text().replace("{GIVEN: value}", "{WITH_SCHEMA: \"1\"}"))
        with host(folder) as server:
            for value, expected in checks:
                status, answer = server.call("sdk", {"do": "valid", **value})
                if expected is None:
                    equal((status, answer.get("output")), (200, "valid"), value)
                    continue
                equal((status, answer["error"]["code"], answer["error"]["details"]["field"], answer["error"]["details"]["rule"]), (400, "VALIDATION_ERROR", *expected), value)
                assert set(answer["error"]["details"]) == {"field", "rule", "expected", "got"}, answer


@each_runtime
def the_end_of_a_call_is_told_to_the_handler(runtime):
    with tempfile.TemporaryDirectory(prefix="berth-sdk-") as temporary:
        folder = Path(temporary) / "functions"
        make(folder, "sdk", runtime, "kill_grace: 30s\n")
        with host(folder, verb=("fn", "dev")) as server:
            _, _, fields = server.request("POST", "/api/functions/sdk?async=1", b'{"do":"term"}', {"Content-Type": "application/json"})
            until(lambda: any("waits for the end" in line for line in server.out))
            equal(server.request("DELETE", fields["location"])[0], 202)
            until(lambda: any("saw the end" in line for line in server.out))
            until(lambda: server.get(fields["location"])[1]["status"] == "canceled")
            until(lambda: not alive(server, "sdk"))


@case
def a_runtime_in_the_manifest_runs_and_returns_json():
    """Each built-in runtime by its name alone, for a file whose name says nothing of it."""
    programs = {"node": ("start.mjs", "let t = ''; process.stdin.on('data', (d) => t += d).on('end', () => console.log(JSON.stringify({success: true, output: JSON.parse(t).input})))\n"),
                "deno": ("start.mts", "console.log(JSON.stringify({success: true, output: (await new Response(Deno.stdin.readable).json()).input}))\n"),
                "bun": ("start.mts", "console.log(JSON.stringify({success: true, output: (await Bun.stdin.json()).input}))\n"),
                "python": ("start.py", "import json, sys\nprint(json.dumps({'success': True, 'output': json.load(sys.stdin)['input']}))\n"),
                "go": ("start.go", "package main\n\nimport (\n\t\"encoding/json\"\n\t\"fmt\"\n\t\"os\"\n)\n\nfunc main() {\n\tvar request struct{ Input json.RawMessage }\n\tjson.NewDecoder(os.Stdin).Decode(&request)\n\tfmt.Printf(\"{\\\"success\\\":true,\\\"output\\\":%s}\", request.Input)\n}\n")}
    with tempfile.TemporaryDirectory(prefix="berth-manifest-") as temporary:
        folder = Path(temporary) / "functions"
        for runtime, (file, text) in programs.items():
            (folder / runtime).mkdir(parents=True)
            (folder / runtime / file).write_text(text)
            (folder / runtime / "manifest.yaml").write_text(f"runtime: {runtime}\nentrypoint: {file}\ntimeout: 5m\n")
        with host(folder) as server:
            for runtime in programs:
                status, answer = server.call(runtime, {"n": [1, "é"]})
                equal((status, answer.get("output", answer)), (200, {"n": [1, "é"]}), runtime)
                equal(server.get(f"/api/functions/{runtime}")[1]["runtime"], runtime)


@case
def examples_answer_over_http():
    with tempfile.TemporaryDirectory(prefix="berth-examples-") as temporary:
        folder = Path(temporary) / "functions"
        shutil.copytree(root / "examples/functions", folder, ignore=shutil.ignore_patterns("dist", "hello"))
        with host(folder, verb=("fn", "dev")) as server:
            for name, runtime in (("node", "node"), ("deno", "deno"), ("bun", "bun"), ("python", "python"), ("go", "go"), ("ruby", "ruby"), ("rust", "rust"), ("typescript", "node"), ("c", "exec")):
                status, answer = server.call(f"hello-{name}", {"name": "Ada"})
                equal((status, answer.get("output")), (200, {"message": "Hello, Ada!", "runtime": runtime}), f"{name}: {answer}")
                if name not in ("typescript", "c"):
                    equal((answer["logs"][0]["level"], answer["logs"][0]["message"], answer["logs"][0]["data"]), ("info", "greeting", {"name": "Ada"}), name)
                    status, answer = server.call(f"hello-{name}", {"name": "nobody"})
                    equal((status, answer["error"]["code"], answer["error"]["details"]), (400, "VALIDATION_ERROR", {"field": "name"}), name)
            for name in ("plain-node", "plain-python", "plain-deno"):
                equal(server.call(name, {"name": "Ada"})[1]["output"], {"message": "Hello, Ada!"}, name)
            equal(server.call("plain-sh")[1]["output"], {"message": "Hello from plain-sh!"})
            equal(server.call("fan-out", {"names": ["A", "B", "C"]})[1]["output"], {"messages": ["Hello, A!", "Hello, B!", "Hello, C!"]})
            form = b'--X\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\nContent-Type: text/plain\r\n\r\nabc\r\n--X--\r\n'
            status, text, _ = server.request("POST", "/api/functions/file-info", form, {"Content-Type": "multipart/form-data; boundary=X"})
            equal((status, json.loads(text)["output"]["files"][0]["size"]), (200, 3))
            status, text, _ = server.request("GET", "/greet/Ada?word=Hi")
            equal((status, text), (200, b"Hi, Ada!"))
            status, text, _ = server.request("POST", "/api/functions/hello-wasm", b'{"name":"Ada"}')
            equal((status, json.loads(text)), (200, {"greeting": "Hello, Ada!"}))


@case
def a_runtime_is_a_file():
    with project_of({"runtimes.d/awk.yaml": 'awk:\n  command: awk\n  args: ["-f"]\n  extensions: [".awk"]\n', "berth.yaml": "", "functions/hi/manifest.yaml": "runtime: awk\n",
                     "functions/hi/index.awk": 'BEGIN { print "{\\"success\\":true,\\"output\\":\\"from awk\\"}" }\n'}) as project:
        with host(project / "functions", folder=project) as server:
            equal(server.call("hi")[1]["output"], "from awk")
        (project / "runtimes.d/awk.yaml").write_text("awk:\n  comand: awk\n")
        with contextlib.suppress(AssertionError):
            with host(project / "functions", folder=project):
                raise RuntimeError("it started with a wrong file")


@case
def go_tells_the_programs_own_end():
    with tempfile.TemporaryDirectory(prefix="berth-go-") as temporary:
        folder = Path(temporary) / "functions"
        for name, body in (("exits", "os.Exit(7)"), ("slow", "select {}")):
            (folder / name).mkdir(parents=True)
            (folder / name / "main.go").write_text(f'package main\n\nimport "os"\n\nfunc main() {{\n\tif len(os.Args) > 5 {{\n\t\treturn\n\t}}\n\t{body}\n}}\n')
            (folder / name / "manifest.yaml").write_text("timeout: 15m\nkill_grace: 0s\n")
        with host(folder, project="functions: {expose_debug: true}\n") as server:
            status, answer = server.call("exits")
            equal((status, answer["error"]["code"], answer["error"]["details"]["exit_code"], answer["error"]["details"]["via"]), (500, "EXIT_NONZERO", 7, "go run"))
            assert "exit status" not in answer["error"]["details"]["stderr_excerpt"], answer


@case
def a_runtime_that_comes_later_is_found():
    import os
    with folder_of({"hello/index.rb": "puts '{\"success\":true,\"output\":1}'\n"}) as folder:
        tools = folder.parent / "bin"
        tools.mkdir()
        with host(folder, env={"PATH": str(tools)}) as server:
            status, answer = server.call("hello")
            equal((status, answer["error"]["code"]), (503, "RUNTIME_NOT_FOUND"))
            equal(answer["error"]["message"], 'function "hello" needs runtime "ruby": command "ruby" not found in PATH (searched 1 directories)')
            assert {"system": "Debian, Ubuntu", "command": "apt-get install ruby"} in answer["error"]["details"]["install"] or answer["error"]["details"]["install"] == [], answer
            (tools / "ruby").symlink_to(shutil.which("ruby"))
            until(lambda: server.call("hello")[0] == 200)
            (tools / "ruby").unlink()
            until(lambda: server.call("hello")[0] == 503)
