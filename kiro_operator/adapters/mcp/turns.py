"""Whose turn it is to be asked: a few servers of a sample at once, whatever other samples do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from math import ceil

from kiro_operator.adapters.places import Places
from kiro_operator.core.snapshot import Unobserved

OF_A_SAMPLE = 4
"""Servers at once, of one sample."""
QUICK, SLOW = 24, 8
"""Servers at once, of all samples: those that answered quickly the last time, and those that did not."""
NOT_ASKED = Unobserved("NotAsked", "the operator was busy with other servers until the sample's time was up")


class Turns:
    """The turns of all samples."""

    def __init__(self) -> None:
        self._places = Places(QUICK, SLOW)

    def sample(self, servers: int, within: float) -> "Sample":
        """The turns of one sample's servers, which end ``within`` seconds from now."""
        return Sample(self._places, servers, within)


class Sample:
    """One sample's turns: what servers that hang use up is their own share of its time, no more."""

    def __init__(self, places: Places, servers: int, within: float) -> None:
        self._places = places
        self._mine = asyncio.Semaphore(OF_A_SAMPLE)
        self._waiting = servers
        self._end = asyncio.get_running_loop().time() + within

    @asynccontextmanager
    async def turn(self, url: str) -> AsyncIterator[float]:
        """A server's turn, and the seconds that it has: its share of what is left for those that wait.

        Raises:
            TimeoutError: all places were taken by other samples for half of that.
        """
        clock = asyncio.get_running_loop().time
        async with self._mine, AsyncExitStack() as stack:
            share = (self._end - clock()) / ceil(self._waiting / OF_A_SAMPLE)
            until = clock() + share
            self._waiting -= 1
            async with asyncio.timeout(share / 2):
                await stack.enter_async_context(self._places.place(url))
            yield until - clock()
