"""The new lines of pods' logs: ``kubectl logs``, of every container and without reading a line twice.

At rest it is one request a container and interval. A crash costs one more, once, for the log of the
instance that died. What is remembered between samples is the time of the last line of each container,
by the container runtime's own clock; the operator's clock counts only where nothing has been read yet.
"""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from kiro_operator import ports
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.adapters.kubernetes.log_plan import Cursor, Id, Job, Reading, choose, jobs
from kiro_operator.adapters.kubernetes.log_text import LAST_SECOND, SECOND, Read, readable, split
from kiro_operator.adapters.kubernetes.unobserved import unobserved
from kiro_operator.api.v1alpha1.evidence.logs import LogsEvidence
from kiro_operator.api.v1alpha1.evidence.records import RecordsEvidence
from kiro_operator.core.evidence.logs import POD_LOGS, LogTail
from kiro_operator.core.permissions import Rule
from kiro_operator.core.records import Record
from kiro_operator.core.snapshot import Unobserved

RULES = (
    Rule(
        "",
        ("pods/log",),
        ("get",),
        "service-logs looks for errors and known faults in what the selected containers write",
    ),
)
PODS = 50
"""Pods that are read in one sample: those that are not well first, then by name."""
CONCURRENT = 4
REQUEST_TIMEOUT = 4.0
"""Seconds for one log: a kubelet that does not answer must not cost the logs of all other nodes."""
BUDGET = timedelta(seconds=10)
"""For a whole sample; of a short interval four fifths."""
RECORDS = 500
"""Records of one container that are remembered, the latest."""
READINGS = 4
"""Kept of each reader, because one that was given up is followed by one that goes on before it."""

TOO_MANY = Unobserved(
    "TooManyPods",
    f"more than {PODS} pods are selected: only {PODS} are read, those that are not well first. "
    "Narrow the selector, or spread the pods over several KiroHealthChecks",
)
LATE = Unobserved("Timeout", "the logs of some containers did not come in time")

_WHAT = "the logs of pods"


class PodLogs:
    """Samples logs, and remembers for each KiroHealthCheck how far it has read."""

    source = POD_LOGS
    rules = RULES

    def __init__(self, client: Client) -> None:
        self._client = client
        self._readings: dict[str, tuple[timedelta, list[Reading]]] = {}

    async def observe(self, request: ports.PollRequest) -> tuple[LogTail | Unobserved, ...] | Unobserved:
        """The new lines of every selected container since the last sample, or in the last interval."""
        if isinstance(request.snapshot.pods, Unobserved):
            return request.snapshot.pods
        bounds = request.spec.logs
        readings = self._of(request)
        before = max(
            (one for one in readings if request.since is not None and one.taken <= request.since),
            key=lambda one: one.taken,
            default=None,
        )
        pods = choose(request.snapshot.pods)
        planned = list(jobs(pods[:PODS], bounds.containers, before, request))
        sample = _Sample(self._client, bounds, request.spec.record_fields, request.now)
        await sample.run(planned, min(BUDGET, 0.8 * request.interval).total_seconds())
        records = _window(planned, sample.found, before, request)
        cursors = {job.id: job.cursor for job in planned} | sample.cursors
        readings.append(Reading(request.now, cursors, records))
        del readings[:-READINGS]
        tails = tuple(
            tail for job in planned for tail in _with_window(sample.found.get(job.id, ()), records[job.id])
        )
        missing = sorted(sample.missing, key=lambda one: (one.reason, one.message))
        if missing and not tails:
            return missing[0]
        return (*tails, *missing, *((TOO_MANY,) if len(pods) > PODS else ()))

    def _of(self, request: ports.PollRequest) -> list[Reading]:
        for asker, (interval, readings) in list(self._readings.items()):
            if not readings or readings[-1].taken < request.now - 10 * interval:
                del self._readings[asker]  # its KiroHealthCheck is gone
        return self._readings.setdefault(request.asker, (request.interval, []))[1]


def _window(
    planned: Sequence[Job],
    found: Mapping[Id, tuple[LogTail, ...]],
    before: Reading | None,
    request: ports.PollRequest,
) -> dict[Id, tuple[tuple[datetime, Record], ...]]:
    """The records that count now, by container."""
    oldest = request.now - request.spec.record_fields.window
    kept: dict[Id, tuple[tuple[datetime, Record], ...]] = {}
    for job in planned:
        known = before.records.get(job.id, ()) if before else ()
        new = ((request.now, record) for tail in found.get(job.id, ()) for record in tail.records)
        kept[job.id] = tuple(item for item in (*known, *new) if item[0] > oldest)[-RECORDS:]
    return kept


def _with_window(
    tails: tuple[LogTail, ...], records: tuple[tuple[datetime, Record], ...]
) -> tuple[LogTail, ...]:
    """The tails of one container, the last of them with all the records that count."""
    if not tails:
        return ()
    window = tuple(record for _, record in records)
    return (*tails[:-1], msgspec.structs.replace(tails[-1], window=window))


class _Sample:
    """One sample under way."""

    def __init__(self, client: Client, bounds: LogsEvidence, mapping: RecordsEvidence, now: datetime) -> None:
        self._client = client
        self._bounds = bounds
        self._mapping = mapping
        self._now = now
        self._free = asyncio.Semaphore(CONCURRENT)
        self._refused: Unobserved | None = None
        self._silent: dict[str, Unobserved] = {}
        """Why nothing more is asked of a node."""
        self.cursors: dict[Id, Cursor] = {}
        self.found: dict[Id, tuple[LogTail, ...]] = {}
        self.missing: set[Unobserved] = set()

    async def run(self, planned: list[Job], budget: float) -> None:
        """Read all that can be read within the budget, in seconds."""
        tasks = [asyncio.create_task(self._try(job)) for job in planned]
        if not tasks:
            return
        try:
            done, late = await asyncio.wait(tasks, timeout=budget)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
        if late:
            self.missing.add(LATE)
        for task in done:
            task.result()

    async def _try(self, job: Job) -> None:
        async with self._free:
            known = self._refused or self._silent.get(job.node)
            if known is not None:
                self.missing.add(known)
                return
            try:
                await self._read(job)
            except (ports.ApiError, ports.Unreachable, TimeoutError) as error:
                known = unobserved(error, RULES[0], job.namespace, _WHAT)
                self.missing.add(known)
                if isinstance(error, ports.Forbidden):
                    self._refused = known
                elif not isinstance(error, ports.ApiError):
                    self._silent[job.node] = known

    async def _read(self, job: Job) -> None:
        before = await self._get(job, previous=True) if job.crashed else None
        now = await self._get(job, previous=False)
        if now is None:
            return
        tails: list[LogTail] = []
        if before is not None:
            # While a container waits to be started again both are the log of the same instance.
            known = frozenset(before.lines)
            now = Read(tuple(line for line in now.lines if line not in known), now.last, now.truncated)
            if before.lines:
                tails.append(await _tail(job, before, self._mapping, previous=True))
        tails.append(await _tail(job, now, self._mapping, previous=False))
        last = max(now.last, before.last if before is not None else now.last)
        self.cursors[job.id] = Cursor(last, job.restarts, self._now)
        self.found[job.id] = tuple(tails)

    async def _get(self, job: Job, *, previous: bool) -> Read | None:
        """What is new in one log; None when the pod is gone, or has no such log."""
        bounds = self._bounds
        query = {
            "container": job.container,
            "timestamps": "true",
            "sinceTime": _whole_second(job.cursor.last),
            "limitBytes": str(bounds.limit_bytes),
            "tailLines": str(bounds.max_lines),
        }
        if previous:
            query["previous"] = "true"
        path = f"/api/v1/namespaces/{job.namespace}/pods/{job.pod}/log"
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                content = await self._client.get_text(path, **query)
        except ports.NotFound:
            return None
        except ports.ApiError as error:
            if error.status != 400:
                raise
            # It waits to be started, or its former instance has been cleared away: nothing is written.
            content = b""
        return split(
            content,
            after=job.cursor.last,
            limit_bytes=bounds.limit_bytes,
            max_lines=bounds.max_lines,
        )


async def _tail(job: Job, read: Read, mapping: RecordsEvidence, *, previous: bool) -> LogTail:
    text = await readable(read.lines, mapping)
    return LogTail(
        job.pod,
        job.container,
        text.lines,
        job.seconds,
        read.truncated or text.cut,
        previous,
        text.records,
        text.malformed,
    )


def _whole_second(time: int) -> str:
    return datetime.fromtimestamp(min(time // SECOND, LAST_SECOND), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
