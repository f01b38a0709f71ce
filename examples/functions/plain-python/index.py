"""A function in plain Python: one JSON request on standard input, one JSON answer on standard output."""
import json
import sys

request = json.load(sys.stdin)
name = request["input"].get("name", "World")
json.dump({"success": True, "output": {"message": f"Hello, {name}!"}}, sys.stdout)
