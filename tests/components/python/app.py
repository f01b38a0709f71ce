import json

from componentize_py_types import Ok
from wit_world import exports
from wit_world.imports import types
from wit_world.imports.types import (Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam)


class IncomingHandler(exports.IncomingHandler):
    def handle(self, request: IncomingRequest, response_out: ResponseOutparam):
        body = request.consume()
        given = b""
        with body.stream() as stream:
            while True:
                try:
                    given += stream.blocking_read(65536)
                except Exception:
                    break
        name = json.loads(given or b"{}").get("name", "World")
        answer = OutgoingResponse(Fields.from_list([("content-type", b"application/json"), ("x-made-by", b"python")]))
        out = answer.body()
        ResponseOutparam.set(response_out, Ok(answer))
        with out.write() as stream:
            stream.blocking_write_and_flush(json.dumps({"message": f"Hello, {name}!"}).encode())
        OutgoingBody.finish(out, None)
