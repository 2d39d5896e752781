"""When to look again without being told: one alarm a key, and polls spread over their interval."""

import asyncio
import zlib
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class Alarms(Generic[K]):
    """At most one alarm a key. For one event loop; not thread-safe."""

    def __init__(self, ring: Callable[[K], None]) -> None:
        self._ring = ring
        self._alarms: dict[K, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        return len(self._alarms)

    def waiting(self, key: K) -> bool:
        """Whether an alarm is set for ``key``."""
        return key in self._alarms

    def set(self, key: K, seconds: float) -> None:
        """Ring for ``key`` in so many seconds, and not at the time set before."""
        self.cancel(key)
        loop = asyncio.get_running_loop()
        self._alarms[key] = loop.call_later(max(0.0, seconds), self._fire, key)

    def cancel(self, key: K) -> None:
        """Do not ring for ``key``."""
        if handle := self._alarms.pop(key, None):
            handle.cancel()

    def _fire(self, key: K) -> None:
        self._alarms.pop(key, None)
        self._ring(key)


def until_turn(name: str, interval: float, now: float) -> float:
    """Seconds from ``now`` until the next turn of ``name`` in a cycle of ``interval`` seconds.

    Each name has its own place in the cycle, the same in every process, so that a thousand polls
    of one interval are spread over it, and stay spread after a restart.
    """
    phase = (zlib.crc32(name.encode()) % 10_000) / 10_000 * interval
    wait = (phase - now) % interval
    return wait if wait > 0.001 * interval else interval
