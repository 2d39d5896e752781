"""Values out of decoded JSON that anybody may have written: bounded, and None where they are not usable."""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

TEXT_LIMIT = 1024
"""Characters kept of a text."""
NAME_LIMIT = 253
"""Characters kept of a name."""
ITEMS = 32
"""Entries kept of a list."""

_NAMES = ("name", "path", "file", "uri", "id", "title")
"""Where an object in a list may have its name."""
_DURATION = re.compile(r"([0-9]{1,12}(?:\.[0-9]{1,9})?) ?(ns|us|µs|ms|s|m|h)?")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_TRUE = frozenset({"true", "yes", "1"})
_FALSE = frozenset({"false", "no", "0"})
_GREATEST = 1e21
_FINER = 1000.0
_LAST = 1e11
"""Numbers above it are no seconds since 1970: they are in milliseconds, microseconds or nanoseconds."""


def at(value: Mapping[str, Any], path: str) -> Any:
    """What stands at a path: under the key of that very name, or else key by key."""
    if path in value:
        return value[path]
    found: Any = value
    for key in path.split("."):
        if not isinstance(found, Mapping):
            return None
        found = found.get(key)
    return found


def text(value: Any, limit: int = TEXT_LIMIT) -> str:
    """A text on one line, or a number as text; empty for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        value = str(value) if abs(value) < _GREATEST else ""
    if not isinstance(value, str):
        return ""
    line = " ".join(value[: 4 * limit].split())[:limit]
    return line if line.isprintable() else "".join(filter(str.isprintable, line))


def names(value: Any) -> tuple[str, ...]:
    """The names in a list of texts and objects, in the keys of an object, or one single name."""
    if isinstance(value, str):
        value = [value]
    elif isinstance(value, Mapping):
        value = list(value)
    if not isinstance(value, list):
        return ()
    return tuple(name for name in _named(value[:ITEMS]) if name)


def size(value: Any) -> int:
    """How many entries there are; a number says it itself."""
    if isinstance(value, bool):
        return 0
    if isinstance(value, int):
        return max(0, min(value, 1_000_000))
    if isinstance(value, list):
        return sum(item not in (None, "", [], {}) for item in value)
    if isinstance(value, Mapping):
        return len(value)
    return int(bool(text(value)))


def number(value: Any) -> float | None:
    """A finite number, also one that is written as text."""
    if isinstance(value, str):
        try:
            value = float(value) if len(value) <= 32 else None
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < _GREATEST and math.isfinite(value) else None


def truth(value: Any) -> bool | None:
    """True or false, also in words."""
    if isinstance(value, bool):
        return value
    word = text(value, 8).lower()
    return True if word in _TRUE else False if word in _FALSE else None


def seconds(value: Any, unit: str) -> float | None:
    """A duration in seconds: a number in the unit given, or a text such as 250ms."""
    if isinstance(value, str):
        match = _DURATION.fullmatch(value.strip())
        if match is None:
            return None
        return float(match[1]) * _SECONDS[match[2] or unit]
    amount = number(value)
    return None if amount is None or amount < 0 else amount * _SECONDS[unit]


def moment(value: Any) -> datetime | None:
    """A time: RFC 3339, or since 1970 in seconds or something finer. Without a zone it is UTC."""
    amount = number(value)
    try:
        if amount is None and isinstance(value, str) and len(value) <= 40:
            found = datetime.fromisoformat(value)
            return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        if amount is None or amount <= 0:
            return None
        while amount > _LAST:
            amount /= _FINER
        return datetime.fromtimestamp(amount, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _named(items: Iterable[Any]) -> Iterator[str]:
    for item in items:
        if isinstance(item, Mapping):
            yield next((name for key in _NAMES if (name := text(item.get(key), NAME_LIMIT))), "")
        else:
            yield text(item, NAME_LIMIT)
