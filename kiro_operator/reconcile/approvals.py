"""KiroApprovals as plans may see them: only those whose author the API server vouches for."""

import asyncio
from collections.abc import Callable

from kiro_operator.adapters.kubernetes.admission import ApprovalGuard
from kiro_operator.adapters.kubernetes.watches import APPROVALS, Watches
from kiro_operator.core.objects import Approval
from kiro_operator.core.snapshot import Unobserved

EVERY = 60.0
"""Seconds between two looks at what protects approvals."""
SOON = 15.0
"""The same while it is missing: somebody may be about to install it."""


class Approvals:
    """The KiroApprovals of each namespace."""

    def __init__(self, watches: Watches, guard: ApprovalGuard) -> None:
        self._watches = watches
        self._guard = guard

    def of(self, namespace: str) -> tuple[Approval, ...] | Unobserved:
        """What people decided there, or why no decision counts.

        A denial counts whoever made it. What else was made before its author was vouched for does not,
        though it may be vouched for now.
        """
        since = self._guard.since
        if isinstance(since, Unobserved):
            return since
        unseen = self._watches.unobserved(APPROVALS, namespace)
        if unseen is not None:
            return unseen
        found: list[Approval] = [
            item
            for item in self._watches.kinds[APPROVALS].store.all(namespace)
            if not item.approves
            or (item.metadata.creation_timestamp is not None and item.metadata.creation_timestamp > since)
        ]
        return tuple(found)

    async def look(self) -> bool:
        """Look whether approvals are protected; returns whether that has changed."""
        return await self._guard.look()

    async def keep_looking(self, changed: Callable[[], None]) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(SOON if isinstance(self._guard.since, Unobserved) else EVERY)
            if await self.look():
                changed()
