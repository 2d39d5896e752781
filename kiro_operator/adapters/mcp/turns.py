"""Whose turn it is to be asked: a few servers of a sample at once, whatever other samples do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from math import ceil

from kiro_operator.core.snapshot import Unobserved

OF_A_SAMPLE = 4
"""Servers at once, of one sample."""
ALTOGETHER = 32
"""Servers at once, of all samples."""
NOT_ASKED = Unobserved("NotAsked", "the operator was busy with other servers until the sample's time was up")


class Turns:
    """The turns of all samples."""

    def __init__(self) -> None:
        self._free = asyncio.Semaphore(ALTOGETHER)

    def sample(self, servers: int, within: float) -> "Sample":
        """The turns of one sample's servers, which end ``within`` seconds from now."""
        return Sample(self._free, servers, within)


class Sample:
    """One sample's turns: what servers that hang use up is their own share of its time, no more."""

    def __init__(self, free: asyncio.Semaphore, servers: int, within: float) -> None:
        self._free = free
        self._mine = asyncio.Semaphore(OF_A_SAMPLE)
        self._waiting = servers
        self._end = asyncio.get_running_loop().time() + within

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[float]:
        """A server's turn, and the seconds that it has: its share of what is left for those that wait.

        Raises:
            TimeoutError: all places were taken by other samples for half of that.
        """
        clock = asyncio.get_running_loop().time
        async with self._mine:
            share = (self._end - clock()) / ceil(self._waiting / OF_A_SAMPLE)
            until = clock() + share
            self._waiting -= 1
            async with asyncio.timeout(share / 2):
                await self._free.acquire()
            try:
                yield until - clock()
            finally:
                self._free.release()
