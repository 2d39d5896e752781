"""A few places for many: what answered slowly the last time waits among its like, not before the others."""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager

SLOW = 2.0
"""Seconds in a place after which the next one is among the slow."""
REMEMBERED = 4096
"""Keys known to be slow; beyond that the one that was so longest ago is forgotten."""


class Places:
    """Places at once, for those that answer quickly and for those that do not.

    One number of places for all would let a few servers that hang fill it, and hold up everybody.
    For one event loop; not thread-safe.
    """

    def __init__(self, quick: int, slow: int) -> None:
        self._quick = asyncio.Semaphore(quick)
        self._slow = asyncio.Semaphore(slow)
        self._known: OrderedDict[Hashable, None] = OrderedDict()

    @asynccontextmanager
    async def place(self, key: Hashable) -> AsyncIterator[None]:
        """Wait for a place, and hold it."""
        clock = asyncio.get_running_loop().time
        async with self._slow if key in self._known else self._quick:
            began = clock()
            try:
                yield
            finally:
                self._remember(key, slow=clock() - began > SLOW)

    def _remember(self, key: Hashable, *, slow: bool) -> None:
        self._known.pop(key, None)
        if slow:
            self._known[key] = None
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)
