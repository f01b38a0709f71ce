"""What is wrong with a JSON document by the part of JSON Schema that the printed schemas use."""
import re


def problem_of(value, schema, at="$"):
    """What is wrong with a value by the part of JSON Schema that the printed schemas use; empty: nothing."""
    unknown = set(schema) - {"$schema", "$id", "description", "type", "properties", "required", "additionalProperties", "items", "enum", "const", "pattern", "minimum"}
    if unknown:
        return f"{at}: the schema uses {sorted(unknown)}, which this check does not know"
    if "const" in schema and value != schema["const"]:
        return f"{at} is {value!r}, not {schema['const']!r}"
    if "enum" in schema and value not in schema["enum"]:
        return f"{at} is {value!r}, none of {schema['enum']}"
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float), "boolean": bool, "null": type(None)}
    wanted = schema.get("type")
    if wanted is not None:
        wanted = wanted if isinstance(wanted, list) else [wanted]
        fits = any(isinstance(value, kinds[kind]) and not (kind in ("integer", "number") and isinstance(value, bool)) for kind in wanted)
        if not fits:
            return f"{at} is {value!r}, no {' or '.join(wanted)}"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        return f"{at} is {value!r}, not {schema['pattern']}"
    if "minimum" in schema and value < schema["minimum"]:
        return f"{at} is {value}, below {schema['minimum']}"
    if isinstance(value, dict):
        for name in schema.get("required", []):
            if name not in value:
                return f"{at}.{name} is missing"
        for name, member in value.items():
            rule = schema.get("properties", {}).get(name, schema.get("additionalProperties", True))
            if rule is False:
                return f"{at}.{name} is in no schema"
            if rule is not True and (found := problem_of(member, rule, f"{at}.{name}")):
                return found
    if isinstance(value, list) and "items" in schema:
        for i, item in enumerate(value):
            if found := problem_of(item, schema["items"], f"{at}[{i}]"):
                return found
    return ""


# The check itself refuses what it should.
assert problem_of({"a": 1}, {"type": "object", "properties": {}, "additionalProperties": False})
assert problem_of({}, {"type": "object", "required": ["a"]}) and problem_of(True, {"type": "integer"}) and problem_of("g", {"pattern": "^[0-9a-f]$"})
assert not problem_of({"a": [1]}, {"type": "object", "properties": {"a": {"type": "array", "items": {"type": "integer", "minimum": 0}}}})
