import base64
import hashlib

from berth_fn import FunctionError, run


def handler(input, ctx):
    files = input.get("_files") or []
    if not files:
        raise FunctionError("VALIDATION_ERROR", "send at least one file as multipart/form-data", {"field": "_files"})
    return {"note": input.get("note"),
            "files": [{"filename": one["filename"], "content_type": one["content_type"], "size": one["size"],
                       "sha256": hashlib.sha256(base64.b64decode(one["data"])).hexdigest()} for one in files]}


run(handler)
