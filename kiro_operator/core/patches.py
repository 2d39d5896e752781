"""Patches as data: what comes of one, what takes it back, and whether two of them are much the same."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from kiro_operator.core.policy.types import WORKLOADS
from kiro_operator.core.quantity import parse_quantity

MATERIAL = 0.1
"""The share by which two amounts may differ and be taken for the same."""
_KEYED = frozenset({"containers"})
"""Lists that a strategic merge patch merges by the name of their items."""


def is_strategic(kind: str) -> bool:
    """Whether objects of a kind are changed by strategic merge patches, which can name one container."""
    return kind in WORKLOADS


def merged(found: Any, patch: Any, *, strategic: bool = False) -> Any:
    """A JSON merge patch applied, as RFC 7386 has it; a strategic one as far as the operator makes them."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(found) if isinstance(found, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif strategic and key in _KEYED:
            result[key] = _by_name(result.get(key) or [], value)
        else:
            result[key] = merged(result.get(key), value, strategic=strategic)
    return result


def _by_name(found: Sequence[Mapping[str, Any]], patch: Sequence[Mapping[str, Any]]) -> list[Any]:
    wanted = {item["name"]: item for item in patch}
    known = [
        merged(item, wanted.pop(item["name"]), strategic=True) if item["name"] in wanted else item
        for item in found
    ]
    return [*known, *wanted.values()]


def undoing(found: Mapping[str, Any], patch: Mapping[str, Any], *, strategic: bool = False) -> dict[str, Any]:
    """The patch that takes another one back: what stood at each place that it touches, null for nothing."""
    undo: dict[str, Any] = {}
    for key, value in patch.items():
        there = found.get(key)
        if strategic and key in _KEYED:
            known = {item["name"]: item for item in there or ()}
            undo[key] = [
                {"name": item["name"]}
                | undoing(known.get(item["name"], {}), _but_name(item), strategic=strategic)
                for item in value
            ]
        elif isinstance(value, Mapping) and isinstance(there, Mapping):
            undo[key] = undoing(there, value, strategic=strategic)
        else:
            undo[key] = there
    return undo


def _but_name(item: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key != "name"}


def told(undo: Any, patch: Any, place: str = "") -> Iterator[str]:
    """What a patch changes, for a person: each place with what stood there and what will."""
    if isinstance(patch, Mapping) and isinstance(undo, Mapping):
        for key, value in patch.items():
            yield from told(undo.get(key), value, f"{place}.{key}".lstrip("."))
    elif isinstance(patch, list) and all(isinstance(item, Mapping) and "name" in item for item in patch):
        for before, after in zip(undo, patch, strict=True):
            yield from told(_but_name(before), _but_name(after), f"{place}[{after['name']}]")
    elif isinstance(undo, str) and isinstance(patch, str) and "\n" in undo + patch:
        lines = difflib.unified_diff(undo.split("\n"), patch.split("\n"), place, place, n=1, lineterm="")
        yield "\n".join(lines)
    else:
        yield f"{place}: {_shown(undo)} → {_shown(patch)}"


def _shown(value: Any) -> str:
    if value is None:
        return "nothing"
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def much_the_same(one: Any, other: Any) -> bool:
    """Whether two patches set the same, but for amounts that differ by no more than MATERIAL."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(much_the_same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(much_the_same, one, other))
    if one == other:
        return True
    first, second = _amount(one), _amount(other)
    if first is None or second is None:
        return False
    return abs(first - second) <= MATERIAL * max(abs(first), abs(second))


def _amount(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    try:
        return parse_quantity(value) if isinstance(value, str) else None
    except ValueError:
        return None
