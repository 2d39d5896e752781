"""Bounded waits on conditions: what tests and the boot use instead of sleeping."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from devcluster.errors import WaitTimeout

T = TypeVar("T")

POLL_SECONDS = 0.05


def until(
    condition: Callable[[], T | None], what: str, timeout: float = 10.0, *, every: float = POLL_SECONDS
) -> T:
    """The first truthy value that `condition` gives, looked for every 50 ms.

    Args:
        condition: Asked again and again; its exceptions are the caller's.
        what: Completes "waited N s for …" in the error.
        timeout: Seconds after which the wait ends.
        every: Seconds between two looks.

    Raises:
        WaitTimeout: The condition stayed falsy; the last value is in the text.
    """
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise WaitTimeout(f"waited {timeout:g} s for {what}; last seen: {value!r}")
        time.sleep(every)
