"""A function in plain Python: one JSON request on standard input, one JSON answer on standard output."""
import json
import sys

request = json.load(sys.stdin)
name = (request.get("input") or {}).get("name", "world")
json.dump({"success": True, "output": {"greeting": f"Hello, {name}!"}}, sys.stdout)
