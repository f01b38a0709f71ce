"""Functions on Berth in Python 3.8 or later: one file, no dependencies. Copy it beside your function.

    from berth_fn import run, FunctionError

    def handler(input, ctx):
        ctx.log.info("greeting", {"name": input.get("name")})
        return {"message": "Hello"}

    run(handler, input={"name": {"type": "string", "maxLength": 80}})

Whatever your code prints goes to standard error, also what native libraries write to descriptor 1; the answer alone goes
to standard output.
"""
import asyncio
import ctypes
import inspect
import json
import os
import re
import signal
import sys
import threading
import traceback
import urllib.error
import urllib.parse
import urllib.request
from datetime import datetime, timezone

__all__ = ["FunctionError", "Context", "run", "function", "validate"]


class FunctionError(Exception):
    """An error with a code that callers see."""

    def __init__(self, code, message=None, details=None):
        super().__init__(message if message is not None else code)
        self.code = code
        self.details = details


def _type_of(value):
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def _violation(field, rule, expected, got):
    return FunctionError("VALIDATION_ERROR", "%s: %s: expected %s, got %s" % (field, rule, json.dumps(expected), json.dumps(got)),
                         {"field": field, "rule": rule, "expected": expected, "got": got})


def _check(field, value, rules):
    kind = _type_of(value)
    wanted = rules.get("type")
    if wanted and kind != wanted and not (wanted == "number" and kind == "integer"):
        raise _violation(field, "type", wanted, kind)
    if "enum" in rules and not any(one == value and _type_of(one) == kind for one in rules["enum"]):
        raise _violation(field, "enum", rules["enum"], value)
    if kind == "string":
        least = rules.get("minLength", rules.get("min_length"))
        most = rules.get("maxLength", rules.get("max_length"))
        if least is not None and len(value) < least:
            raise _violation(field, "minLength", least, len(value))
        if most is not None and len(value) > most:
            raise _violation(field, "maxLength", most, len(value))
        if "pattern" in rules and not re.search(rules["pattern"], value):
            raise _violation(field, "pattern", rules["pattern"], value)
    if kind in ("integer", "number"):
        if "min" in rules and value < rules["min"]:
            raise _violation(field, "min", rules["min"], value)
        if "max" in rules and value > rules["max"]:
            raise _violation(field, "max", rules["max"], value)
    if kind == "array" and "items" in rules:
        for i, item in enumerate(value):
            _check("%s[%d]" % (field, i), item, rules["items"])


def validate(input, schema):
    """Raises the first violation of `schema` in `input`."""
    for field, rules in (schema or {}).items():
        value = input.get(field)
        if value is None:
            if rules.get("required") is True and rules.get("optional") is not True:
                raise _violation(field, "required", True, None)
            continue
        _check(field, value, rules)


class _Log:
    def __init__(self, entries):
        self._entries = entries

    def _add(self, level, message, data):
        entry = {"level": level, "message": str(message), "timestamp": datetime.now(timezone.utc).isoformat().replace("+00:00", "Z")}
        if data is not None:
            entry["data"] = data if isinstance(data, dict) else {"value": data}
        self._entries.append(entry)

    def debug(self, message, data=None):
        self._add("debug", message, data)

    def info(self, message, data=None):
        self._add("info", message, data)

    def warn(self, message, data=None):
        self._add("warn", message, data)

    def error(self, message, data=None):
        self._add("error", message, data)


class _Alyx:
    def __init__(self, url, token):
        self.url = url
        self.token = token

    def fetch(self, path, method="GET", data=None, headers=None):
        """The status and body of a request to the internal API."""
        body = data if data is None or isinstance(data, bytes) else json.dumps(data).encode()
        request = urllib.request.Request(urllib.parse.urljoin(self.url, path), data=body, method=method,
                                         headers={"Authorization": "Bearer " + self.token, "Content-Type": "application/json", **(headers or {})})
        try:
            with urllib.request.urlopen(request) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    def invoke(self, name, input=None):
        """The output of another function; its error is raised."""
        _, body = self.fetch("/internal/v1/invoke/" + urllib.parse.quote(name, safe=""), "POST", input or {})
        answer = json.loads(body)
        if answer.get("success"):
            return answer.get("output")
        error = answer.get("error") or {}
        raise FunctionError(error.get("code", "FUNCTION_ERROR"), error.get("message"), error.get("details"))


class Context:
    """What a handler knows of its call. Tests make one up: `Context({"context": {"env": {"A": "1"}}})`."""

    def __init__(self, request=None, logs=None):
        request = request or {}
        given = request.get("context") or {}
        self.auth = given.get("auth")
        self.env = given.get("env") or {}
        self.request_id = request.get("request_id", "")
        self.function_name = request.get("function_name", "")
        self.deadline = given.get("deadline_ms") or int(os.environ.get("ALYX_DEADLINE_MS", 0)) or None
        self.cancelled = threading.Event()
        self.log = _Log(logs if logs is not None else [])
        self.alyx = _Alyx(given.get("alyx_url", ""), given.get("internal_token", ""))


def _to_json(value):
    try:
        return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    except (TypeError, ValueError, RecursionError, UnicodeEncodeError):
        raise FunctionError("FUNCTION_ERROR", "result is not JSON") from None


def _write_all(descriptor, data):
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(descriptor, view):]
        except BlockingIOError:
            threading.Event().wait(0.001)


def _serve(handler, schema):
    answer_to = os.dup(1)
    sys.stdout.flush()
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    logs, request_id = [], "unknown"
    try:
        with os.fdopen(0, "rb", closefd=False) as stdin:
            request = json.loads(stdin.read().decode("utf-8"))
        request_id = request.get("request_id", request_id)
        context = Context(request, logs)
        signal.signal(signal.SIGTERM, lambda *_: context.cancelled.set())
        input = request.get("input") or {}
        validate(input, schema)
        output = handler(input, context)
        if inspect.isawaitable(output):
            async def wait():
                return await output
            output = asyncio.run(wait())
        answer = b'{"request_id":%s,"success":true,"output":%s,"logs":%s}' % (_to_json(request_id), _to_json(output), _to_json(logs))
    except BaseException as error:
        if isinstance(error, FunctionError):
            shown = {"code": str(error.code), "message": str(error)}
            if error.details is not None:
                shown["details"] = error.details if isinstance(error.details, dict) else {"value": error.details}
        else:
            traceback.print_exc()
            shown = {"code": "FUNCTION_ERROR", "message": str(error) or type(error).__name__}
        try:
            written = _to_json(shown)
        except FunctionError:
            written = _to_json({"code": shown["code"], "message": shown["message"].encode("utf-8", "replace").decode()})
        try:
            said = _to_json(logs)
        except FunctionError:
            said = b"[]"
        answer = b'{"request_id":%s,"success":false,"error":%s,"logs":%s}' % (_to_json(request_id), written, said)
    sys.stderr.flush()
    try:
        ctypes.CDLL(None).fflush(None)  # what native libraries still hold
    except (OSError, AttributeError):
        pass
    _write_all(answer_to, answer)
    os._exit(0)


def run(handler, input=None):
    """Answers the request with what `handler(input, ctx)` returns. Does nothing when it is imported in a test."""
    if os.environ.get("ALYX_FUNCTION_NAME"):
        _serve(handler, input)
    return handler


def function(handler=None, input=None):
    """`@function(input={...})` above the handler."""
    if handler is not None:
        return run(handler, input)
    return lambda given: run(given, input)
