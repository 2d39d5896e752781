"""Keeps the marker ``flips`` honest: a test so marked has seen the check Pass, Fail and Pass, in this order.

A verdict counts where the check itself gave it in this process, or where an operator wrote it into a status.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from msgspec.structs import force_setattr

from kiro_operator.core.checks import registry

NEVER_FAILS = frozenset({"recent-configuration-changes"})
"""Checks that warn at the worst."""

_watched: dict[str, list[str]] = {}


def saw(check_id: str, status: str) -> None:
    """Note a verdict that an operator has written."""
    if check_id in _watched:
        _watched[check_id].append(status)


@contextmanager
def watching(ids: Iterable[str]) -> Iterator[dict[str, list[str]]]:
    """All verdicts on these checks while the context lasts, by check, the oldest first."""
    with ExitStack() as stack:
        for check_id in ids:
            _watched[check_id] = []
            stack.callback(_watched.pop, check_id)
            stack.enter_context(_overheard(check_id))
        yield _watched.copy()


@contextmanager
def _overheard(check_id: str) -> Iterator[None]:
    check = registry()[check_id].check
    judge = check.judge

    def noting(*given: Any) -> Any:
        verdict = judge(*given)
        saw(check_id, verdict.status.value)
        return verdict

    force_setattr(check, "judge", noting)
    try:
        yield
    finally:
        force_setattr(check, "judge", judge)


def flipped(check_id: str, seen: Iterable[str]) -> bool:
    """Whether there is a Pass, then a Fail, then a Pass among the verdicts."""
    verdicts = iter(seen)
    bad = "Warn" if check_id in NEVER_FAILS else "Fail"
    return all(wanted in verdicts for wanted in ("Pass", bad, "Pass"))
