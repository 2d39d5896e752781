"""Numbers that are written as a count or as a share, such as ``2`` or ``40%``."""

import re

_SHARE = re.compile(r"^([0-9]{1,3})%$")


def at_most(value: int | str, total: int) -> int:
    """The count that a share of the total stands for, rounded down.

    Raises:
        ValueError: it is neither a count nor a share.
    """
    if isinstance(value, int):
        return _count(value)
    return total * _percent(value) // 100


def at_least(value: int | str, total: int) -> int:
    """The count that a share of the total stands for, rounded up.

    Raises:
        ValueError: it is neither a count nor a share.
    """
    if isinstance(value, int):
        return _count(value)
    return -(-total * _percent(value) // 100)


def _count(value: int) -> int:
    if value < 0:
        raise ValueError(f"{value} is below zero: write a number of pods such as 2")
    return value


def _percent(text: str) -> int:
    match = _SHARE.match(text)
    if match is None or int(match[1]) > 100:
        raise ValueError(f"{text!r} is neither a number nor a share: write one such as 2 or 40%")
    return int(match[1])
