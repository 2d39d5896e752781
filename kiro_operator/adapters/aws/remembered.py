"""Answers that are kept for a while, and asked for once however many want them."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from kiro_operator.core.snapshot import Unobserved

V = TypeVar("V")

ANSWERS = 64
KEEP_FAILURE = 60.0
"""Seconds at most for which a question that could not be answered is not asked again."""


class Remembered(Generic[V]):
    """Answers by question. For one event loop."""

    def __init__(self, keep: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._keep = keep
        """Seconds an answer holds."""
        self._clock = clock
        self._answers: OrderedDict[Hashable, tuple[float, V | Unobserved]] = OrderedDict()
        self._asking: dict[Hashable, asyncio.Task[V | Unobserved]] = {}

    async def get(
        self, key: Hashable, ask: Callable[[], Coroutine[Any, Any, V | Unobserved]]
    ) -> V | Unobserved:
        """The answer to ``key``; whoever gives up does not take it away from the others."""
        held = self._answers.get(key)
        if held is not None and self._clock() < held[0]:
            return held[1]
        asking = self._asking.get(key)
        if asking is None:
            asking = self._asking[key] = asyncio.create_task(self._ask(key, ask), name=f"ask {key}")
        return await asyncio.shield(asking)

    async def _ask(self, key: Hashable, ask: Callable[[], Awaitable[V | Unobserved]]) -> V | Unobserved:
        try:
            value = await ask()
        finally:
            del self._asking[key]
        keep = min(self._keep, KEEP_FAILURE) if isinstance(value, Unobserved) else self._keep
        self._answers[key] = (self._clock() + keep, value)
        self._answers.move_to_end(key)
        if len(self._answers) > ANSWERS:
            self._answers.popitem(last=False)
        return value
