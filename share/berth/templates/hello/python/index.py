from berth_fn import FunctionError, function


@function(input={"name": {"type": "string", "maxLength": 80}})
def hello(input, ctx):
    name = input.get("name", "World")
    ctx.log.info("greeting", {"name": name})
    if name == "nobody":
        raise FunctionError("VALIDATION_ERROR", "nobody cannot be greeted", {"field": "name"})
    return {"message": f"Hello, {name}!", "runtime": "python"}
