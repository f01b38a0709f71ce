"""Components that wait for their clients or for others hold no thread."""
import contextlib
import http.server
import re
import threading
import urllib.parse
from pathlib import Path

from harness import CHUNKED, ECHOES, Peer, Wire, answering, ask, case, chunk_of, guests, serving
from cases import until  # after harness, which says where it lies


def threads_of(server):
    return len(list(Path(f"/proc/{server.pid}/task").iterdir()))


def few_threads(server):
    """What computed for a moment has left its loop to another thread, and ends."""
    until(lambda: threads_of(server) < 30, "threads for those that compute alone")


def in_flight(server, name):
    found = re.search(rf'^berth_calls_in_flight\{{function="{name}"\}} (\d+)$', ask(f"{server.url}/metrics")[2].decode(), re.MULTILINE)
    return int(found.group(1)) if found else 0


def echoes(count, look, *flags):
    """So many clients at once that hold the rest of their requests back; `look` is given the server then."""
    with serving(("echo", ECHOES["hand"]), flags=("--limit", f"concurrency={count}", *flags)) as server, contextlib.ExitStack() as held:
        wires = [held.enter_context(Wire(server)) for _ in range(count)]
        for number, wire in enumerate(wires):
            wire.send(CHUNKED, b"\r\n", chunk_of(b"first %d" % number))
        for number, wire in enumerate(wires):
            wire.head()
            assert wire.chunk() == b"first %d" % number
        assert in_flight(server, "echo") == count
        look(server)
        for number, wire in enumerate(wires):
            wire.send(chunk_of(b"last %d" % number), b"0\r\n\r\n")
        for number, wire in enumerate(wires):
            assert wire.chunk() == b"last %d" % number
            assert wire.chunk() == b"\r\n"
        until(lambda: in_flight(server, "echo") == 0, "the end of all")


@case
def handlers_that_wait_for_their_clients_hold_no_thread():
    echoes(60, few_threads)


@case
def handlers_in_instances_that_stay_hold_none_either():
    echoes(60, few_threads, "--isolation", "pooled")


@case
def without_fibers_each_holds_one():
    def look(server):
        assert (threads := threads_of(server)) >= 60, threads

    echoes(60, look, "--set", "engine.fibers=never")


@case
def guests_that_wait_for_an_answer_hold_no_thread():
    leave, arrived = threading.Event(), threading.Semaphore(0)

    class Holding(Peer):
        def do_GET(self):
            arrived.release()
            assert leave.wait(600)
            super().do_GET()

    class Server(http.server.ThreadingHTTPServer):
        request_queue_size = 64

    answers = []
    with answering(Server(("127.0.0.1", 0), Holding)) as other:
        to = f"http://127.0.0.1:{other.port}"
        with serving(("waiter", guests / "hello-javascript.wasm"), flags=("--allow", f"net.fetch={to}", "--limit", "concurrency=40")) as server:
            clients = [threading.Thread(target=lambda n=n: answers.append(ask(f"{server.url}/out?{urllib.parse.urlencode({'to': f'{to}/{n}'})}")[::2])) for n in range(40)]
            for client in clients:
                client.start()
            try:
                for _ in clients:
                    assert arrived.acquire(timeout=600)
                few_threads(server)
            finally:
                leave.set()
                for client in clients:
                    client.join()
    assert sorted(answers) == sorted((200, b"reached 200 GET /%d " % n) for n in range(40)), answers
