"""A running `berth` for suites of tests: its first line is read, what it says on standard error is collected, and it is ended
with its block."""
import contextlib
import signal
import subprocess
import threading


@contextlib.contextmanager
def started(command, environment, cwd=None):
    """The process, with `first_line`, the address `url` and the lines it has said so far, `errors`."""
    process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, cwd=cwd, text=True)
    process.errors = []
    reader = threading.Thread(target=lambda: process.errors.extend(process.stderr), daemon=True)
    reader.start()
    try:
        process.first_line = process.stdout.readline()
        process.url = process.first_line.removeprefix("Listening on ").strip()
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=600)
        reader.join(timeout=600)
        process.stdout.close()
        process.stderr.close()
