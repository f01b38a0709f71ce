"""Each code provoked over HTTP and on the command line: one row of the table for all, and never a defect of the host."""
import contextlib
import http.client
import json
import re
import socket
import tempfile
import urllib.parse
from pathlib import Path

from support import Cases, equal, host, make_probe, run

cases = Cases()
case = cases.case


def table():
    """Status and exit of each code, as the binary prints them."""
    with tempfile.TemporaryDirectory() as temporary:
        _, text, _ = run("help", "codes", cwd=temporary)
    rows = re.findall(r"(?m)^([a-z_]+) +http (\d+) +exit (\d+)", text)
    return {code: (int(status), int(end)) for code, status, end in rows}


exits = "(import \"wasi_snapshot_preview1\" \"proc_exit\" (func $exit (param i32)))"


def command(body, imports="", more=""):
    return f'(module {imports} (memory (export "memory") 1) {more} (func (export "_start") {body}))'


loop = "(loop $l (br $l))"
# name: (code, files). What HTTP and the command line say of a call of it.
modules = {
    "unreachable": ("trap", command("(unreachable)"), ""),
    "beyond": ("trap", command("(drop (i32.load (i32.const -8)))"), ""),
    "divides": ("trap", command("(drop (i32.div_s (i32.const 1) (i32.const 0)))"), ""),
    "recurses": ("stack_overflow", command("(call $deep)", more="(func $deep (call $deep))"), ""),
    "spins": ("timeout", command(loop), "timeout: 100ms\n"),
    "writes": ("output_too_large", '(module (import "wasi_snapshot_preview1" "fd_write" (func $w (param i32 i32 i32 i32) (result i32))) (memory (export "memory") 2) (data (i32.const 0) "\\08\\00\\00\\00\\00\\00\\01\\00")'
               ' (func (export "_start") (loop $l (drop (call $w (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 4))) (br $l))))', "limits: {output: 1mb}\n"),
    "leaves": ("exit_nonzero", command("(call $exit (i32.const 7))", exits), ""),
    "raises": ("signaled", command("(drop (call $raise (i32.const 9)))", '(import "wasi_snapshot_preview1" "proc_raise" (func $raise (param i32) (result i32)))'), ""),
    "cannot-link": ("function_invalid", '(module (import "somewhere" "else" (func)) (memory (export "memory") 1) (func (export "_start")))', ""),
}
processes = {
    "quits": ("exit_nonzero", "exit 7\n", ""),
    "dies": ("signaled", "kill -11 $$\n", ""),
    "babbles": ("bad_output", "echo hello\n", ""),
    "sleeps": ("timeout", "sleep 1000\n", "timeout: 100ms\nkill_grace: 0s\n"),
    "computes": ("cpu_limit", "while :; do :; done\n", "limits: {cpu: 1}\nkill_grace: 0s\n"),
    "floods": ("output_too_large", "yes\n", "limits: {output: 64kb}\n"),
    "needs-a-secret": ("secret_missing", "exit 0\n", "secrets: [NOT_THERE]\n"),
    "broken": ("function_invalid", "exit 0\n", "timeout: fast\n"),
    "unbuilt": ("build_required", "exit 0\n", "runtime: sh\nentrypoint: handler\nbuild: {command: sh, args: [-c, exit 0], output: dist/run}\n"),
    "collides": ("conflict", "echo '{\"success\":false,\"error\":{\"code\":\"CONFLICT\",\"message\":\"m\"}}'\n", ""),
    "refuses": ("unprocessable", "echo '{\"success\":false,\"error\":{\"code\":\"UNPROCESSABLE\",\"message\":\"m\"}}'\n", ""),
    "rates": ("rate_limited", "echo '{\"success\":false,\"error\":{\"code\":\"RATE_LIMITED\",\"message\":\"m\"}}'\n", ""),
}
spelled = {"BAD_INPUT": "INVALID_INPUT", "BAD_OUTPUT": "INVALID_OUTPUT", "INTERNAL": "FUNCTION_ERROR", "CANCELLED": "CANCELED", "NOT_FOUND": "FUNCTION_NOT_FOUND"}


@contextlib.contextmanager
def everything():
    with tempfile.TemporaryDirectory(prefix="berth-codes-") as temporary:
        folder = Path(temporary) / "functions"
        for name, (_, text, manifest) in (modules | processes).items():
            (folder / name).mkdir(parents=True)
            entry = folder / name / ("main.wat" if name in modules else "handler")
            entry.write_text(text if name in modules else "#!/bin/sh\n" + text)
            entry.chmod(0o755)
            if manifest:
                (folder / name / "manifest.yaml").write_text(manifest)
        make_probe(folder)
        yield folder


@case
def one_row_of_the_table_for_http_and_the_command_line():
    rows = table()
    with everything() as folder:
        with host(folder, project="functions: {max_body: 64kb}\n") as server:
            for name, (code, _, _) in (modules | processes).items():
                status, found = server.call(name)
                error = found["error"]["code"]
                shown = spelled.get(code.upper(), code.upper())
                equal((status, error in ((code, shown) if name in modules else (shown,))), (rows[code][0], True), f"{name}: {error}")
            metrics = server.request("GET", "/metrics")[1].decode()
            assert "runtime_bug" not in metrics
            for code in {code for code, _, _ in (modules | processes).values()} - {"function_invalid"}:
                assert f'berth_errors_total{{code="{code}"}}' in metrics, code
        for name, (code, _, _) in (modules | processes).items():
            status, _, errors = run("invoke", name, str(folder), "--input", "{}", cwd=folder.parent)
            own = {"leaves": 7, "quits": 7, "raises": 137, "dies": 139}
            by_itself = name in ("collides", "refuses", "rates")
            equal(status, own.get(name, 1 if by_itself else rows[code][1]), f"{name}: {errors}")
            if name not in own or f"error[{code}]" in errors:
                assert f"error[{code}]" in errors, (name, errors)


@case
def what_the_front_refuses_has_its_row():
    rows = table()
    with everything() as folder, host(folder, project="functions: {max_body: 64kb}\n") as server:
        address = urllib.parse.urlsplit(server.url)

        def raw(text):
            with socket.create_connection((address.hostname, address.port)) as client:
                client.sendall(text)
                answer = http.client.HTTPResponse(client)
                answer.begin()
                return answer.status, answer.read()
        post = b"POST /api/functions/probe HTTP/1.1\r\nHost: x\r\n"
        asked = {"not_found": (b"POST /api/functions/nothing HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}"), "method_not_allowed": (b"DELETE /api/functions/probe HTTP/1.1\r\nHost: x\r\n\r\n"),
                 "bad_input": post + b"Content-Length: 1\r\n\r\n{", "unsupported_media_type": post + b"Content-Type: text/plain\r\nContent-Length: 1\r\n\r\nx", "payload_too_large": post + b"Content-Length: 100000\r\n\r\n" + b" " * 100000,
                 "uri_too_long": b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", "headers_too_large": b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 20000 + b"\r\n\r\n"}
        for code, text in asked.items():
            status, body = raw(text)
            found = json.loads(body)["error"]["code"]
            equal((status, found in (code, spelled.get(code.upper(), code.upper()))), (rows[code][0], True), f"{code}: {body}")


@case
def what_the_command_line_refuses_has_its_row():
    rows = table()
    with tempfile.TemporaryDirectory(prefix="berth-codes-") as temporary:
        folder = Path(temporary)
        (folder / "no.wasm").write_bytes(b"\0asm\x07\0\0\0")
        (folder / "link.wat").write_text('(module (import "somewhere" "else" (func)))')
        (folder / "ok.wat").write_text(command("nop"))
        (folder / "old.bj").write_bytes(b"nothing of that kind")
        (folder / "bad.yaml").write_text("policy: 1\nnothing: 1\n")
        asked = [("usage", ["run", "--nothing", "ok.wat"]), ("usage", ["nothing-like-this"]), ("file_not_found", ["run", "missing.wasm"]), ("invalid_module", ["run", "no.wasm"]), ("import_unresolved", ["run", "link.wat"]),
                 ("config_error", ["run", "--policy", "bad.yaml", "ok.wat"]), ("not_found", ["run", "--call", "nothing", "ok.wat"]), ("not_found", ["invoke", "nothing", ".", "--input", "{}"]), ("journal_invalid", ["replay", "old.bj"]),
                 ("cannot_create", ["run", "--record", "missing/x.bj", "ok.wat"]), ("not_found", ["help", "nothing_like_this"])]
        for code, words in asked:
            status, _, errors = run(*words, cwd=folder)
            equal(status, rows[code][1], f"{words}: {errors}")
            assert f"error[{code}]" in errors, (words, errors)
            status, out, errors = run(words[0], "--format", "json", *words[1:], cwd=folder) if words[0] in ("run", "replay") else (status, "", "")
            if out.startswith("{"):
                equal(json.loads(out)["error"]["code"], code)
