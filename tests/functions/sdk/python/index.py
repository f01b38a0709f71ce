import asyncio
import ctypes
import os

from berth_fn import FunctionError, run
from schema import schema


async def later():
    await asyncio.sleep(0.001)
    return "later"


def handler(input, ctx):
    do = input.get("do")
    if do == "echo":
        return input.get("value")
    if do == "missing":
        return None
    if do == "fail":
        raise FunctionError("CONFLICT", "it is taken", {"a": 1})
    if do == "throw":
        raise RuntimeError("unexpected")
    if do == "print":
        print("printed text")
        os.write(1, b"raw text\n")
        ctypes.CDLL(None).puts(b"native text")
        return "printed"
    if do == "big":
        return "x" * (1 << 20)
    if do == "nan":
        return {"a": float("nan")}
    if do == "cycle":
        a = {}
        a["a"] = a
        return a
    if do == "log":
        ctx.log.debug("d")
        ctx.log.info("i", {"k": 1})
        ctx.log.warn("w")
        ctx.log.error("e")
        return None
    if do == "context":
        return {"auth": ctx.auth, "env": ctx.env, "name": ctx.function_name, "id": len(ctx.request_id), "deadline": ctx.deadline > 0, "url": ctx.alyx.url.startswith("http://"), "token": len(ctx.alyx.token)}
    if do == "invoke":
        return ctx.alyx.invoke("echo", {"x": 1})
    if do == "invoke-fails":
        return ctx.alyx.invoke("refuses")
    if do == "async":
        return later()
    if do == "term":
        print("waits for the end", flush=True)
        while not ctx.cancelled.wait(0.01):
            pass
        print("saw the end", flush=True)
        return None
    if do == "valid":
        return "valid"
    raise FunctionError("BAD_REQUEST", "unknown")


run(handler, input=schema if os.environ.get("WITH_SCHEMA") else None)
