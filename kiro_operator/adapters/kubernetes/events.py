"""Kubernetes Events (events.k8s.io/v1), one object a subject and reason, repeated as a series.

Reporting must never hold up or fail what it reports on: events are posted in the background, in
order, from a bounded queue, and a failure is counted and logged.
"""

import asyncio
import logging
import zlib
from datetime import UTC, datetime

from msgspec import Struct

from kiro_operator import ports
from kiro_operator.adapters.kubernetes.client import Client, Lane
from kiro_operator.core.permissions import Rule, Scope
from kiro_operator.core.redact import without_credentials
from kiro_operator.core.report import Occurrence
from kiro_operator.core.writes import Must, Operation, Write

RULES = (
    Rule("events.k8s.io", ("events",), ("create", "patch"), "what happens is told as Events", Scope.CLUSTER),
)
COMPONENT = "kiro.dev/kiro-operator"
ADMITTED = (
    Write(
        by="events",
        api_version="events.k8s.io/v1",
        resources=("events",),
        operations=(Operation.CREATE, Operation.UPDATE),
        musts=(
            Must(
                f"object.?reportingController.orValue('') == '{COMPONENT}'\n"
                "&& object.?regarding.?namespace.orValue('') == request.namespace",
                "it reports in its own name, about objects of the same namespace",
            ),
            Must(
                "!has(object.metadata.finalizers) && !has(object.metadata.ownerReferences)\n"
                "&& !has(object.metadata.labels) && !has(object.metadata.annotations)",
                "an Event has a name and nothing else in its metadata",
            ),
        ),
    ),
)
"""What was reported the API server keeps as it is."""
SERIES_SPAN = 360.0
"""Seconds within which the same event is one series; the API server forgets events after an hour."""
QUIET = 60.0
"""Seconds for which repetitions of an event are only counted, not sent."""
PENDING = 1000
NOTE_BYTES = 1024
"""The API server's limit, which it counts in bytes."""

logger = logging.getLogger(__name__)


class _Series(Struct):
    path: str
    started: float
    count: int
    sent: float


class EventRecorder:
    """Posts Events."""

    def __init__(self, client: Client, clock: ports.Clock, instance: str) -> None:
        self._client = client
        self._clock = clock
        self._instance = instance
        self._queue: asyncio.Queue[Occurrence] = asyncio.Queue(PENDING)
        self._series: dict[tuple[str, str, str], _Series] = {}
        self.dropped = 0

    def record(self, occurrence: Occurrence) -> None:
        """Post an event soon. When too many wait already, this one is dropped and counted."""
        try:
            self._queue.put_nowait(occurrence)
        except asyncio.QueueFull:
            self.dropped += 1

    async def run(self) -> None:
        """Post for ever."""
        while True:
            occurrence = await self._queue.get()
            try:
                await self._post(occurrence)
            except (ports.ApiError, ports.Unreachable) as error:
                logger.warning("event %s not posted: %s", occurrence.reason, error)

    async def drain(self) -> None:
        """Post what waits, before the process ends."""
        while not self._queue.empty():
            try:
                await self._post(self._queue.get_nowait())
            except (ports.ApiError, ports.Unreachable) as error:
                logger.warning("event not posted: %s", error)

    async def _post(self, occurrence: Occurrence) -> None:
        now = self._clock.monotonic()
        key = (occurrence.regarding.uid, occurrence.reason, occurrence.note)
        known = self._series.get(key)
        if known is not None and now - known.started < SERIES_SPAN:
            known.count += 1
            if now - known.sent >= QUIET:
                known.sent = now
                series = {"count": known.count, "lastObservedTime": self._stamp()}
                try:
                    await self._client.merge_patch(known.path, {"series": series}, Lane.RECORD)
                except ports.NotFound:
                    del self._series[key]
            return
        self._forget(now)
        collection = f"/apis/events.k8s.io/v1/namespaces/{occurrence.namespace}/events"
        unique = zlib.crc32("/".join(key).encode())
        subject = occurrence.regarding.name[:200].rstrip("-.")
        name = f"{subject}.{unique:08x}.{int(self._clock.now().timestamp() * 1e6):x}"
        await self._client.create(collection, self._body(occurrence, name), Lane.RECORD)
        self._series[key] = _Series(f"{collection}/{name}", now, 1, now)

    def _body(self, occurrence: Occurrence, name: str) -> dict[str, object]:
        regarding = occurrence.regarding
        return {
            "apiVersion": "events.k8s.io/v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": occurrence.namespace},
            "eventTime": self._stamp(),
            "type": "Warning" if occurrence.warning else "Normal",
            "reason": occurrence.reason,
            "action": occurrence.action,
            "note": _cut(without_credentials(occurrence.note), NOTE_BYTES),
            "regarding": {
                "apiVersion": occurrence.api_version,
                "kind": regarding.kind,
                "name": regarding.name,
                "namespace": occurrence.namespace,
                "uid": regarding.uid,
            },
            "reportingController": COMPONENT,
            "reportingInstance": self._instance[:128],
        }

    def _forget(self, now: float) -> None:
        for key in [key for key, series in self._series.items() if now - series.started >= SERIES_SPAN]:
            del self._series[key]

    def _stamp(self) -> str:
        return stamp(self._clock.now())


def _cut(text: str, limit: int) -> str:
    """As much of a text as fits into so many bytes."""
    return text.encode()[:limit].decode(errors="ignore")


def stamp(time: datetime) -> str:
    """A MicroTime, as Events and Leases carry it."""
    return time.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
