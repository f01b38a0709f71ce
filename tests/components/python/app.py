import encodings.idna  # looked for when a name is resolved, when no file can be read any more
import json
import socket
import sys
from urllib.parse import parse_qs, urlsplit

from componentize_py_types import Err, Ok
from wit_world import exports
from wit_world.imports import outgoing_handler, types
from wit_world.imports.types import (Fields, IncomingRequest, Method_Get, OutgoingBody, OutgoingRequest, OutgoingResponse, ResponseOutparam, Scheme_Http, Scheme_Https)


def read_all(stream):
    whole = b""
    while True:
        try:
            whole += stream.blocking_read(65536)
        except Exception:
            return whole


def fetch(address):
    """The answer to a GET: its status and body, or the error code as text."""
    url = urlsplit(address)
    request = OutgoingRequest(Fields.from_list([]))
    request.set_method(Method_Get())
    request.set_scheme(Scheme_Https() if url.scheme == "https" else Scheme_Http())
    request.set_authority(url.netloc)
    request.set_path_with_query(url.path or "/")
    try:
        future = outgoing_handler.handle(request, None)
        with future.subscribe() as ready:
            ready.block()
        got = future.get().value
        response = got.value
        if isinstance(got, Err):
            return 502, f"refused: {response}".encode()
        body = response.consume()
        with body.stream() as stream:
            return 200, b"reached %d " % response.status() + read_all(stream)
    except Err as problem:
        return 502, f"refused: {problem.value}".encode()


def talk(host, port, say):
    """Connects, says something and gives what comes back until the other end has said all."""
    try:
        with socket.create_connection((host, int(port))) as peer:
            peer.sendall(say.encode())
            peer.shutdown(socket.SHUT_WR)
            whole = b""
            while part := peer.recv(65536):
                whole += part
            return 200, b"heard " + whole
    except OSError as problem:
        return 502, f"refused: {problem!r}".encode()


def serve(host):
    """Listens on a free port and talks with itself over it."""
    try:
        with socket.socket() as listening:
            listening.bind((host, 0))
            listening.listen()
            with socket.create_connection(listening.getsockname()) as client:
                peer, address = listening.accept()
                with peer:
                    same = address == client.getsockname() and client.getpeername() == listening.getsockname()
                    client.sendall(b"over here")
                    return 200, b"served %s %d" % (peer.recv(100), same)
    except OSError as problem:
        return 502, f"refused: {problem!r}".encode()


def exchange(host, port, say, connect):
    """Sends a datagram and gives what comes back for it."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            if connect:
                out.connect((host, int(port)))
                out.send(say.encode())
                return 200, b"heard " + out.recv(65536)
            out.sendto(say.encode(), (host, int(port)))
            heard, sender = out.recvfrom(65536)
            return 200, b"heard %s from %d" % (heard, sender[1])
    except OSError as problem:
        return 502, f"refused: {problem!r}".encode()


def bind(host, port):
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.bind((host, int(port)))
            return 200, b"bound"
    except OSError as problem:
        return 502, f"refused: {problem!r}".encode()


OPTIONS = {
    "hops": (socket.IPPROTO_IP, socket.IP_TTL),
    "receive": (socket.SOL_SOCKET, socket.SO_RCVBUF),
    "send": (socket.SOL_SOCKET, socket.SO_SNDBUF),
    "alive": (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
    "idle": (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
    "interval": (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
    "count": (socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
}


def options(kind, asked):
    """Sets the options that are asked for and gives what there is then, or what is said against it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM) as one:
        there = {}
        for name, place in OPTIONS.items():
            if name not in asked:
                continue
            try:
                one.setsockopt(*place, int(asked[name][0]))
                there[name] = one.getsockopt(*place)
            except OSError as problem:
                there[name] = problem.strerror
        return json.dumps(there).encode()


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request: IncomingRequest, response_out: ResponseOutparam):
        target = urlsplit(request.path_with_query() or "/")
        status, content_type = 200, b"application/json"
        if target.path.endswith("/out"):
            status, reply = fetch(parse_qs(target.query)["to"][0])
            content_type = b"text/plain"
        elif target.path.endswith("/tcp"):
            asked = parse_qs(target.query)
            status, reply = talk(asked["host"][0], asked["port"][0], asked["say"][0])
        elif target.path.endswith("/listen"):
            status, reply = serve(parse_qs(target.query)["host"][0])
        elif target.path.endswith("/udp"):
            asked = parse_qs(target.query)
            status, reply = exchange(asked["host"][0], asked["port"][0], asked["say"][0], "connect" in asked)
        elif target.path.endswith("/bind"):
            asked = parse_qs(target.query)
            status, reply = bind(asked["host"][0], asked["port"][0])
        elif target.path.endswith("/options"):
            asked = parse_qs(target.query)
            reply = options(asked["kind"][0], asked)
        else:
            body = request.consume()
            with body.stream() as stream:
                given = read_all(stream)
            asked = json.loads(given or b"{}")
            if "ask" in asked:  # others, one behind the other
                reply = json.dumps([fetch(address)[1].decode() for address in asked["ask"]]).encode()
            else:
                reply = json.dumps({"message": f"Hello, {asked.get('name', 'World')}!"}).encode()
        answer = OutgoingResponse(Fields.from_list([("content-type", content_type), ("x-made-by", b"python")]))
        answer.set_status_code(status)
        out = answer.body()
        ResponseOutparam.set(response_out, Ok(answer))
        with out.write() as stream:
            for at in range(0, len(reply), 4096):
                stream.blocking_write_and_flush(reply[at:at + 4096])
        OutgoingBody.finish(out, None)
