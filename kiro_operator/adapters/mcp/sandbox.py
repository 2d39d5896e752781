"""Evaluates users' expressions and servers' schemas in processes of their own, which may be killed.

Neither is bounded by itself: CEL's macros nest, a schema's patterns backtrack, and both hold the
interpreter while they run. So this file is run as a program, by itself: it imports nothing of the
operator's. To start an interpreter and import the libraries costs many times what the evaluation does:
that is done once, and each round gets a child forked from it. A child reads one JSON list of tasks from
its socket and writes one JSON line for each.
"""

import gc
import json
import math
import os
import re
import resource
import signal
import socket
import sys
import types
from datetime import UTC, datetime
from typing import Any

Outcome = dict[str, Any]
"""``value``, or ``reason`` and ``message``."""

FIRST, LAST = -62_135_596_800, 253_402_300_800
"""Unix seconds of the years 1 and 10000: what is beyond is milliseconds, or nothing."""

_FRACTION = re.compile(r"(\.\d{6})\d+")
_WORDS = 200


def main() -> None:
    """Fork a child for each number that comes with a socket; kill it when the number comes again."""
    channel = socket.socket(fileno=sys.stdin.fileno())
    _prepare()
    children: dict[bytes, int] = {}
    try:
        while True:
            number, handed, _, _ = socket.recv_fds(channel, 32, 1)
            if not number:
                return  # nobody is there any more
            if handed:
                children[number] = _fork(handed[0])
            else:
                _end(children.pop(number))
    finally:
        for child in children.values():
            _end(child)


def _prepare() -> None:
    """Have all that children need imported and built, and keep it out of their collections of garbage."""
    run({"kind": "expect", "expression": "result.isError", "result": {"isError": False}})
    run({"kind": "schema", "schema": {"type": "object"}, "value": {}})
    gc.freeze()


def _fork(handed: int) -> int:
    """The process that does the tasks which come through this socket."""
    child = os.fork()
    if child:
        os.close(handed)
        return child
    try:
        # In the place of the channel, which is closed thereby: it is not a child's to use.
        os.dup2(handed, sys.stdin.fileno())
        os.dup2(handed, sys.stdout.fileno())
        os.close(handed)
        _work()
    finally:
        os._exit(0)


def _end(child: int) -> None:
    # Not yet waited for, so it is still that process, if only what is left of it.
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def _work() -> None:
    """Evaluate all tasks, in order."""
    seconds, memory, wait = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    # What was there before the fork counts as well.
    resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Should nobody be left to kill it.
    signal.setitimer(signal.ITIMER_REAL, wait)
    for task in json.load(sys.stdin):
        sys.stdout.write(json.dumps(run(task)) + "\n")
        sys.stdout.flush()


def run(task: dict[str, Any]) -> Outcome:
    """One task: an expression over a result, or a schema."""
    if task["kind"] == "schema":
        return schema(task["schema"], task["value"])
    return expression(task["kind"], task["expression"], task["result"])


def expression(kind: str, text: str, result: Any) -> Outcome:
    """``expect``: whether it is true. ``timestamp``: Unix seconds."""
    # Its package imports a whole console, which costs ten times what the evaluation does.
    sys.modules.setdefault("cel.cli", types.ModuleType("cel.cli"))
    import cel  # noqa: PLC0415

    try:
        program = cel.compile(text)
    except Exception as error:  # noqa: BLE001 - whatever it is, the text is at fault
        return _wrong(f"{kind} is no CEL expression: {_first_line(error)}")
    if "result" not in program.references()["variables"]:
        return _wrong(f"{kind} does not look at the answer: use result")
    try:
        value = program.execute({"result": result})
    except RuntimeError as error:
        if "Undefined" in str(error) and "No such overload" not in str(error):
            return _wrong(f"{kind}: {_first_line(error)}")
        return _absent(kind)
    except Exception:  # noqa: BLE001 - a field that is not there, or of another type
        return _absent(kind)
    if kind == "expect":
        if not isinstance(value, bool):
            return _wrong(f"expect gives {type(value).__name__}: write one that gives true or false")
        return {"value": value}
    seconds = unix(value)
    return _absent(kind) if seconds is None else {"value": seconds}


def unix(value: Any) -> float | None:
    """Unix seconds of a time, an RFC 3339 text or a number; None for anything else."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(_FRACTION.sub(r"\1", value.strip()))
        except ValueError:
            return None
    if isinstance(value, datetime):
        try:
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
        except (OverflowError, ValueError):
            return None
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) if math.isfinite(value) and FIRST <= value < LAST else None
    return None


def schema(schema: Any, value: Any) -> Outcome:
    """Whether the value fits; ``at`` says where it does not."""
    # Only where a tool declares a schema.
    from jsonschema import exceptions, validators  # type: ignore[import-untyped]  # noqa: PLC0415
    from referencing import Registry  # noqa: PLC0415

    try:
        kind = validators.validator_for(schema)
        kind.check_schema(schema)
        # An empty registry: nothing is fetched for a $ref.
        error = exceptions.best_match(kind(schema, registry=Registry()).iter_errors(value))
    except Exception as problem:  # noqa: BLE001 - whatever it is, the schema is at fault
        name = type(problem).__name__
        return {"reason": "InvalidSchema", "message": f"the tool's output schema cannot be used ({name})"}
    if error is None:
        return {"value": True}
    return {"value": False, "at": _place(error)}


def _place(error: Any) -> str:
    """The path to the fault, without indices: they change with the data."""
    path = "".join(f".{part}" if isinstance(part, str) else "[]" for part in error.absolute_path)
    return f"${path} ({error.validator})"[:_WORDS]


def _absent(kind: str) -> Outcome:
    if kind == "expect":
        return {"value": False}
    return {"reason": "NoTimestamp", "message": "the answer has no time where timestamp looks for it"}


def _wrong(message: str) -> Outcome:
    return {"reason": "InvalidExpression", "message": message[: 2 * _WORDS]}


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines() or [type(error).__name__]
    return lines[0].partition(" expecting {")[0][:_WORDS]


if __name__ == "__main__":
    main()
