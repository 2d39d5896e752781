"""Patches as data: what comes of one, what takes it back, and whether two of them are much the same."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from kiro_operator.core.policy.types import WORKLOADS
from kiro_operator.core.quantity import parse_quantity

MATERIAL = 0.1
"""The share by which two amounts may differ and be taken for the same."""
KEYS: Mapping[str, str] = {"containers": "name", "initContainers": "name", "volumes": "name", "checks": "id"}
"""Lists whose items are merged by a field of theirs."""


def is_strategic(kind: str) -> bool:
    """Whether objects of a kind are changed by strategic merge patches, which can name one container."""
    return kind in WORKLOADS


def is_keyed(kind: str) -> bool:
    """Whether drafts for a kind name single items of a list; of a custom resource it is then written out."""
    return kind in WORKLOADS or kind == "KiroHealthCheck"


def merged(found: Any, patch: Any, *, strategic: bool = False) -> Any:
    """A JSON merge patch applied, as RFC 7386 has it; a strategic one as far as the operator makes them."""
    if not isinstance(patch, Mapping):
        return patch
    result = dict(found) if isinstance(found, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif strategic and key in KEYS and isinstance(value, list):
            result[key] = _by(KEYS[key], result.get(key) or [], value)
        else:
            result[key] = merged(result.get(key), value, strategic=strategic)
    return result


def _by(key: str, found: Sequence[Mapping[str, Any]], patch: Sequence[Mapping[str, Any]]) -> list[Any]:
    wanted = {item[key]: item for item in patch}
    known = [
        merged(item, wanted.pop(item[key]), strategic=True) if item[key] in wanted else item for item in found
    ]
    return [*known, *wanted.values()]


def stands(found: Any, patch: Any, *, strategic: bool = False, amounts: bool = False) -> bool:
    """Whether an object says what a patch would have it say, as the API server writes it.

    It leaves out a map without keys, which says the same as none, and makes 1 of a request of 1000m. What
    else looks like an amount is taken letter by letter.
    """
    if not isinstance(patch, Mapping):
        return bool(found == patch) or (amounts and _is_same_amount(found, patch))
    if not isinstance(found, Mapping | None):
        return False
    there = found or {}
    return all(
        _stand(KEYS[key], there.get(key) or (), value)
        if strategic and key in KEYS and isinstance(value, list)
        else stands(
            there.get(key), value, strategic=strategic, amounts=amounts or (strategic and key == "requests")
        )
        for key, value in patch.items()
    )


def _stand(key: str, found: Sequence[Mapping[str, Any]], patch: Sequence[Mapping[str, Any]]) -> bool:
    there = {item[key]: item for item in found}
    return all(stands(there.get(item[key]), item, strategic=True) for item in patch)


def in_order(patch: Any, found: Any) -> Any:
    """A strategic merge patch in the order of the object, for the API server takes the patch's over."""
    if not isinstance(patch, Mapping) or not isinstance(found, Mapping):
        return patch
    result = {}
    for key, value in patch.items():
        there = found.get(key)
        if key in KEYS and isinstance(value, list):
            name = KEYS[key]
            places = {item[name]: place for place, item in enumerate(there or ())}
            result[key] = sorted(value, key=lambda item: places.get(item[name], len(places)))
        else:
            result[key] = in_order(value, there)
    return result


def undoing(found: Mapping[str, Any], patch: Mapping[str, Any], *, strategic: bool = False) -> dict[str, Any]:
    """The patch that takes another one back: what stood at each place that it touches, null for nothing."""
    undo: dict[str, Any] = {}
    for key, value in patch.items():
        there = found.get(key)
        if strategic and key in KEYS and isinstance(value, list):
            name = KEYS[key]
            known = {item[name]: item for item in there or ()}
            undo[key] = [
                {name: item[name]} | undoing(known.get(item[name], {}), _but(name, item), strategic=strategic)
                for item in value
            ]
        elif isinstance(value, Mapping) and isinstance(there, Mapping):
            undo[key] = undoing(there, value, strategic=strategic)
        else:
            undo[key] = there
    return undo


def _but(name: str, item: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key != name}


def told(undo: Any, patch: Any, place: str = "") -> Iterator[str]:
    """What a patch changes, for a person: each place with what stood there and what will."""
    if isinstance(patch, Mapping) and isinstance(undo, Mapping):
        for key, value in patch.items():
            yield from told(undo.get(key), value, f"{place}.{key}".lstrip("."))
    elif isinstance(patch, list) and (name := KEYS.get(place.rpartition(".")[2])):
        for before, after in zip(undo, patch, strict=True):
            yield from told(_but(name, before), _but(name, after), f"{place}[{after[name]}]")
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
    return bool(one == other) or _is_same_amount(one, other, within=MATERIAL)


def _is_same_amount(one: Any, other: Any, within: float = 1e-9) -> bool:
    first, second = _amount(one), _amount(other)
    if first is None or second is None:
        return False
    return abs(first - second) <= within * max(abs(first), abs(second))


def _amount(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return float(value)
    try:
        return parse_quantity(value) if isinstance(value, str) else None
    except ValueError:
        return None
