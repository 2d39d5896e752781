"""KiroApprovals as plans may see them: denials, and approvals whose author the API server vouches for."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import datetime

import msgspec

from kiro_operator.adapters.kubernetes.admission import ApprovalGuard
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.adapters.kubernetes.watches import APPROVALS, KINDS, Watches
from kiro_operator.core.objects import Approval
from kiro_operator.core.policy.approvals import OnlyDenials
from kiro_operator.core.snapshot import Unobserved

EVERY = 60.0
"""Seconds between two looks at what protects approvals."""
SOON = 15.0
"""The same while it is missing: somebody may be about to install it."""


class _Approvals(msgspec.Struct):
    items: list[Approval]


class Approvals:
    """The KiroApprovals of each namespace."""

    def __init__(self, client: Client, watches: Watches, guard: ApprovalGuard) -> None:
        self._client = client
        self._watches = watches
        self._guard = guard

    def of(self, namespace: str) -> tuple[Approval, ...] | Unobserved:
        """What people decided there, or why no approval counts.

        A denial counts whoever made it. What else was made before its author was vouched for does not,
        though it may be vouched for now.
        """
        seen = self._watches.kinds[APPROVALS].store.all(namespace)
        return _counting(seen, self._watches.unobserved(APPROVALS, namespace) or self._guard.since)

    async def anew(self, namespace: str) -> tuple[Approval, ...] | Unobserved:
        """The same as the API server has it now, for whoever is about to act on it.

        By what is watched a denial may come late, and what was forged while nobody stood guard would count
        until the next look.

        Raises:
            ports.ApiError, ports.Unreachable, KeyError, ValueError, msgspec.DecodeError: there is no answer.
        """
        found = await self._client.get(KINDS[APPROVALS].path(namespace))
        # Behind them, so that it was looked at after each of them was made.
        await self._guard.confirm()
        return _counting(msgspec.json.decode(found, type=_Approvals).items, self._guard.since)

    async def look(self) -> bool:
        """Look whether approvals are protected; returns whether that has changed since the last time."""
        return await self._guard.look()

    async def keep_looking(self, changed: Callable[[], None]) -> None:
        """Look for ever."""
        while True:
            await asyncio.sleep(SOON if isinstance(self._guard.since, Unobserved) else EVERY)
            if await self.look():
                changed()


def _counting(found: Iterable[Approval], since: datetime | Unobserved) -> tuple[Approval, ...] | OnlyDenials:
    """Those that count, given from when on authors are vouched for, or why no approval counts."""
    if isinstance(since, Unobserved):
        return OnlyDenials(since.reason, since.message, tuple(item for item in found if not item.approves))
    return tuple(
        item
        for item in found
        if not item.approves
        or (item.metadata.creation_timestamp is not None and item.metadata.creation_timestamp > since)
    )
