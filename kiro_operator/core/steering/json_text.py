"""JSON with places: what a value is, and at which line and column it stands."""

import json
import re
from typing import Any

from msgspec import Struct

from kiro_operator.core.steering.problems import Problem, place

SIZE = 262_144
"""Characters of a text."""
DEPTH = 64

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\]:,]|[^\s{}\[\]:,"]+', re.DOTALL)

Path = tuple[str | int, ...]


class Read(Struct, frozen=True):
    """A value and the offsets of its parts, or why there is none."""

    value: Any = None
    offsets: dict[Path, int] = {}
    problem: Problem | None = None


def read(text: str) -> Read:
    """Read strict JSON: no comments, no trailing comma, no NaN."""
    if len(text) > SIZE:
        words = f"the JSON is longer than {SIZE} characters, and is not read"
        return Read(problem=Problem(1, 1, "TooLargeJson", words, warning=True))
    if deep := _too_deep(text):
        where = place(text, deep)
        return Read(problem=Problem(*where, "TooLargeJson", "nested too deep to be read", warning=True))
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        return Read(problem=Problem(*place(text, error.pos), "InvalidJson", error.msg))
    except (ValueError, RecursionError) as error:
        return Read(problem=Problem(1, 1, "InvalidJson", f"a value cannot be read: {type(error).__name__}"))
    return Read(value, _offsets(text))


def _no_constant(word: str) -> Any:
    raise ValueError(f"{word} is no JSON")


def _too_deep(text: str) -> int:
    """Offset of the bracket that is one too many; 0 when none is."""
    depth = 0
    for token in _TOKEN.finditer(text):
        depth += (token[0] in "{[") - (token[0] in "}]")
        if depth > DEPTH:
            return token.start()
    return 0


def _offsets(text: str) -> dict[Path, int]:
    """Where each value stands, by its path. The text is JSON already."""
    offsets: dict[Path, int] = {}
    stack: list[str | int] = []
    opened: list[str] = []
    key = False
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark in "}]":
            opened.pop()
            stack.pop()
        elif mark == ",":
            if opened[-1] == "[":
                stack[-1] = int(stack[-1]) + 1
            else:
                key = True
        elif mark == ":":
            key = False
        elif key:
            stack[-1] = json.loads(mark)
        else:
            offsets[tuple(stack)] = token.start()
            if mark in "{[":
                opened.append(mark)
                stack.append(0 if mark == "[" else "")
                key = mark == "{"
        if mark in "}]":
            key = False
    return offsets
