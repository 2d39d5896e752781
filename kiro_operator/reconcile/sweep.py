"""Sweep: now and then, look for what a watch can have missed and for records that are old enough to go.

kopf does not tell of objects that were deleted while its watch was away, so a listing is held
against what is known. Actions whose KiroHealthCheck is gone are ended, and records are deleted once
no budget window, and no ladder, can need them, nor anything that is still to be given back.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Generic, TypeVar

import msgspec
from msgspec import Struct
from pydantic import ValidationError

from kiro_operator import ports
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.api.v1alpha1.healthcheck import PROPOSALS
from kiro_operator.api.v1alpha1.remediation import FINAL_STATES
from kiro_operator.api.v1alpha1.types import API_VERSION, GROUP
from kiro_operator.core.objects import Metadata, Record
from kiro_operator.core.permissions import Rule, Scope
from kiro_operator.core.policy.types import Ledger
from kiro_operator.core.proposals import DENIED
from kiro_operator.core.remedies import contain
from kiro_operator.core.remedies.detailed_logging import owed
from kiro_operator.core.remedies.scale import borrowed
from kiro_operator.core.writes import Must, Operation, Write, cel
from kiro_operator.reconcile.records import Remediation
from kiro_operator.reconcile.target import Key
from kiro_operator.reconcile.verify import Verify

RULES = (
    Rule(GROUP, ("kiroremediations",), ("list",), "records are swept", Scope.CLUSTER),
    Rule(GROUP, ("kiroremediations",), ("delete",), "records are kept for a bounded time"),
)
_FINAL = ", ".join(cel(state) for state in sorted(FINAL_STATES))
ADMITTED = (
    Write(
        by="records-sweep",
        api_version=API_VERSION,
        resources=("kiroremediations",),
        operations=(Operation.DELETE,),
        musts=(
            Must(
                f"oldObject.?status.?state.orValue('') in [{_FINAL}]",
                "a KiroRemediation that is not over is a lock, and part of the budget",
            ),
        ),
    ),
)
RETENTION = timedelta(hours=168)
"""How long finished records are kept: the longest window a budget can have."""
KEPT_OF_EACH = 5
"""The newest records of each target are kept for longer: they number its episodes."""
PAGE = 500

T = TypeVar("T")

logger = logging.getLogger(__name__)


class _ListMeta(Struct):
    proceed: str = msgspec.field(default="", name="continue")


class _Named(Struct):
    metadata: Metadata


class _Page(Struct, Generic[T]):
    metadata: _ListMeta
    items: list[T] | None = None
    """The server may send null where there is none."""


async def _listed(
    get: Callable[..., Awaitable[bytes]], plural: str, kind: type[T], params: Mapping[str, str]
) -> AsyncIterator[T]:
    """All objects of a kind in the whole cluster, read page by page."""
    decoder: msgspec.json.Decoder[_Page[T]] = msgspec.json.Decoder(_Page[kind])  # type: ignore[valid-type]
    proceed: dict[str, str] = {}
    while True:
        page = decoder.decode(
            await get(f"/apis/{API_VERSION}/{plural}", limit=str(PAGE), **proceed, **params)
        )
        for item in page.items or ():
            yield item
        if not page.metadata.proceed:
            return
        proceed = {"continue": page.metadata.proceed}


def needless(items: Sequence[Remediation], now: datetime) -> list[Remediation]:
    """The records of one target that have ended, and that nothing has a use for any more.

    What is still to be given back is known by its records alone, however old they are, and so is what
    contains, and that something much like a proposal was refused.
    """
    if not items:
        return []
    entries = Ledger(tuple(item.entry for item in items)).of(items[0].entry.target)
    kept = set(contain.kept(entries))
    if (logged := owed(entries)) is not None:
        kept.add(logged.name)
    if borrowed(entries) is not None:
        kept.update(entry.name for entry in entries if entry.replicas is not None and entry.counts)
    newest_first = sorted(items, key=lambda item: item.entry.reserved_at, reverse=True)
    refused = {item.spec.action: item.name for item in reversed(newest_first) if item.status.reason == DENIED}
    kept.update(name for action, name in refused.items() if action in PROPOSALS)
    return [
        item
        for item in newest_first[KEPT_OF_EACH:]
        if item.status.state in FINAL_STATES
        and now - item.entry.ended_at >= RETENTION
        and item.name not in kept
    ]


class Sweep:
    """Repairs and tidies. Only the leader sweeps."""

    def __init__(self, client: Client, verify: Verify, clock: ports.Clock, *, selector: str) -> None:
        self._client = client
        self._verify = verify
        self._clock = clock
        self._selector = selector

    async def deleted(self, plural: str, known: Callable[[], dict[Key, str]]) -> list[Key]:
        """Which of the known objects are gone, by comparing UIDs with a listing of names."""
        before = known()
        selector = {"labelSelector": self._selector} if self._selector and "healthcheck" in plural else {}
        there = {
            (item.metadata.namespace, item.metadata.name): item.metadata.uid
            async for item in _listed(self._client.get_metadata, plural, _Named, selector)
        }
        after = known()
        return [key for key, uid in before.items() if after.get(key) == uid and there.get(key) != uid]

    async def records(self) -> None:
        """End the actions of KiroHealthChecks that are gone, and delete records past their time."""
        by_target: dict[tuple[str, str, bool], list[Remediation]] = {}
        async for record in _listed(self._client.get, "kiroremediations", Record, {}):
            try:
                item = Remediation(record)
            except (ValidationError, ValueError) as error:
                logger.warning("KiroRemediation %s cannot be read: %s", record.metadata.name, error)
                continue
            # A ledger is that of a namespace: what is missing, or belongs to the whole cluster, is the same
            # target in each. Proposals number no episodes, and crowd out nothing that does.
            course = (record.metadata.namespace, item.spec.target.uid, item.spec.action in PROPOSALS)
            by_target.setdefault(course, []).append(item)
        now = self._clock.now()
        for (namespace, _, _), items in by_target.items():
            for item in items:
                if item.status.state not in FINAL_STATES and await self._asker_is_gone(namespace, item):
                    await self._verify.end_orphan(namespace, item)
            for item in needless(items, now):
                await self._delete(namespace, item)

    async def _delete(self, namespace: str, item: Remediation) -> None:
        # In a namespace that is not onboarded the record stays, which is no reason to keep others.
        path = f"/apis/{API_VERSION}/namespaces/{namespace}/kiroremediations/{item.name}"
        try:
            await self._client.delete(path, {"preconditions": {"uid": item.record.metadata.uid}})
        except ports.ApiError as error:
            logger.info("KiroRemediation %s/%s not deleted: %s", namespace, item.name, error)

    async def _asker_is_gone(self, namespace: str, item: Remediation) -> bool:
        asker = item.spec.health_check
        path = f"/apis/{API_VERSION}/namespaces/{namespace}/kirohealthchecks/{asker.name}"
        try:
            found = msgspec.json.decode(await self._client.get(path), type=_Named)
        except ports.NotFound:
            return True
        return found.metadata.uid != asker.uid or found.metadata.deletion_timestamp is not None
