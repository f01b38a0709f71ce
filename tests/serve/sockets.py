"""Cases of modules that take connections on sockets they are handed."""
import json
import socket
import subprocess
import tempfile
from pathlib import Path

from harness import binary, case, equal, running

ECHO = """(module
  (import "wasi_snapshot_preview1" "sock_accept" (func $accept (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 1)
  (func $must (param $error i32) (if (local.get $error) (then (call $exit (local.get $error)))))
  (func (export "_start") (local $fd i32)
    (call $must (call $accept (i32.const 3) (i32.const 0) (i32.const 8)))
    (local.set $fd (i32.load (i32.const 8)))
    (i32.store (i32.const 0) (i32.const 1024))
    (loop $more
      (i32.store (i32.const 4) (i32.const 4096))
      (call $must (call $read (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 12)))
      (if (i32.load (i32.const 12)) (then
        (i32.store (i32.const 4) (i32.load (i32.const 12)))
        (call $must (call $write (local.get $fd) (i32.const 0) (i32.const 1) (i32.const 12)))
        (call $must (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 12)))
        (br $more))))))"""


@case
def a_module_takes_connections_and_is_replayed_without_a_network():
    with tempfile.TemporaryDirectory(prefix="berth-sockets-") as folder:
        home = Path(folder)
        (home / "echo.wat").write_text(ECHO)
        with running("--record", home / "journal.bj", "--allow", "net.listen=127.0.0.1:0", home / "echo.wat", home=home) as process:
            address = ""
            while not address:
                line = process.stderr.readline().decode()
                assert line, "it ended without listening"
                if "a guest listens" in line:
                    address = json.loads(line)["address"]
            host, port = address.rsplit(":", 1)
            with socket.create_connection((host, int(port)), timeout=600) as client:
                client.sendall(b"what was said\n")
                client.shutdown(socket.SHUT_WR)
                answer = b""
                while part := client.recv(4096):
                    answer += part
            equal(answer, b"what was said\n")
            out, _ = process.communicate(timeout=600)
            equal((process.returncode, out), (0, b"what was said\n"))
        replayed = subprocess.run([binary, "run", "--replay", home / "journal.bj", home / "echo.wat"], capture_output=True, timeout=600, env={"HOME": folder, "LC_ALL": "C.UTF-8"})
        equal((replayed.returncode, replayed.stdout), (0, b"what was said\n"))
