from concurrent.futures import ThreadPoolExecutor

from berth_fn import run


def handler(input, ctx):
    """Calls another function once for each name, at the same time."""
    names = input.get("names") or ["Ada", "Grace"]
    function = input.get("function", "plain-python")
    with ThreadPoolExecutor(max_workers=4) as pool:
        answers = list(pool.map(lambda name: ctx.alyx.invoke(function, {"name": name}), names))
    return {"messages": [answer["message"] for answer in answers]}


run(handler)
