"""A work queue by key: coalescing, serial per key, urgent first.

Level-triggered: a key says only *look again*; what is to be done is read from the world. So a key
that is queued twice is worked once, and one that is queued while it is worked is worked again.
"""

import asyncio
import heapq
import random
from collections.abc import Hashable
from enum import IntEnum
from typing import Generic, TypeVar

from kiro_operator.ports import LEFT_ALONE

K = TypeVar("K", bound=Hashable)

BACKOFF = (0.1, 60.0)
"""First and longest wait, in seconds, after a reconciliation that failed."""


class Urgency(IntEnum):
    """Which keys go first."""

    FAILURE = 0
    """Something has just begun to fail."""
    CHANGE = 1
    """Something else has changed."""
    RESYNC = 2
    """It is merely time to look."""


class WorkQueue(Generic[K]):
    """Keys waiting to be worked. For one event loop; not thread-safe."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, K]] = []
        self._queued: dict[K, int] = {}
        self._working: set[K] = set()
        self._again: dict[K, int] = {}
        self._failures: dict[K, int] = {}
        self._retries: dict[K, asyncio.TimerHandle] = {}
        self._held: set[K] = set()
        """Keys that the server asked to leave alone until their retry."""
        self._sequence = 0
        self._waiter = asyncio.Event()
        self.last_progress = 0.0
        """Loop time at which a key was last taken or finished."""

    def __len__(self) -> int:
        return len(self._queued)

    def add(self, key: K, urgency: Urgency = Urgency.CHANGE) -> None:
        """Ask for a look at ``key``; asking again before it comes only makes it more urgent."""
        if key in self._held:
            return  # its retry is set, and comes when the server wants to be asked again
        if key in self._working:
            self._again[key] = min(urgency, self._again.get(key, urgency))
            return
        known = self._queued.get(key)
        if known is not None and known <= urgency:
            return
        self._queued[key] = urgency
        self._sequence += 1
        heapq.heappush(self._heap, (urgency, self._sequence, key))
        self._waiter.set()

    async def get(self) -> K:
        """The most urgent key. It is not handed out again before ``done``."""
        while True:
            while self._heap:
                urgency, _, key = heapq.heappop(self._heap)
                if self._queued.get(key) == urgency:
                    del self._queued[key]
                    self._working.add(key)
                    self._progress()
                    return key
            self._waiter.clear()
            await self._waiter.wait()

    def done(self, key: K) -> None:
        """Tell that a key has been worked."""
        self._working.discard(key)
        self._progress()
        again = self._again.pop(key, None)
        if again is not None:
            self.add(key, Urgency(again))

    def retry(self, key: K, at_least: float = 0.0) -> float:
        """Queue a key again after a wait that doubles with each failure; returns the seconds."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        first, longest = BACKOFF
        wait = min(longest, first * 2.0 ** min(failures, 16))
        spread = wait * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, no secret
        wait = max(min(at_least, LEFT_ALONE), spread)
        handle = self._retries.pop(key, None)
        if handle:
            handle.cancel()
        if at_least:
            self._held.add(key)
        self._retries[key] = asyncio.get_running_loop().call_later(wait, self._retry_now, key)
        return wait

    def failures(self, key: K) -> int:
        """How often in a row the work on a key has failed."""
        return self._failures.get(key, 0)

    def succeeded(self, key: K) -> None:
        """Forget the failures of a key."""
        self._failures.pop(key, None)

    def forget(self, key: K) -> None:
        """Drop a key that is gone for good."""
        self._failures.pop(key, None)
        self._queued.pop(key, None)
        self._again.pop(key, None)
        self._held.discard(key)
        if handle := self._retries.pop(key, None):
            handle.cancel()

    def _retry_now(self, key: K) -> None:
        self._retries.pop(key, None)
        self._held.discard(key)
        self.add(key, Urgency.RESYNC)

    def _progress(self) -> None:
        self.last_progress = asyncio.get_running_loop().time()
