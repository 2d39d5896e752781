"""The new lines of pods' logs: ``kubectl logs``, of every container and without reading a line twice.

At rest it is one request a container and interval. A crash costs one more, once, for the log of the
instance that died. What is remembered between samples is the time of the last line of each container,
by the container runtime's own clock; the operator's clock counts only for the very first sample.
"""

import asyncio
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec import Struct

from kiro_operator import ports
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.adapters.kubernetes.log_text import SECOND, Read, nanoseconds, readable, split
from kiro_operator.adapters.kubernetes.unobserved import unobserved
from kiro_operator.core.checks.responsiveness.service_logs import ServiceLogsParameters
from kiro_operator.core.objects import ContainerStatus, Pod
from kiro_operator.core.permissions import Rule
from kiro_operator.core.snapshot import LogTail, Source, Unobserved

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

TOO_MANY = Unobserved(
    "TooManyPods",
    f"more than {PODS} pods are selected: only {PODS} are read, those that are not well first. "
    "Narrow the selector, or spread the pods over several KiroHealthChecks",
)
LATE = Unobserved("Timeout", "the logs of some containers did not come in time")

_WHAT = "the logs of pods"
_Id = tuple[str, str]
"""UID of the pod and name of the container."""
_Reader = tuple[str, bytes, str, timedelta]
_READINGS = 4


class _Cursor(Struct, frozen=True):
    last: int
    """Time of the last line, in nanoseconds since 1970."""
    restarts: int


class _Reading(Struct, frozen=True):
    """What one sample remembers for the next of the same KiroHealthCheck."""

    taken: datetime
    cursors: Mapping[_Id, _Cursor]


class _Job(Struct, frozen=True):
    """One container that is to be read."""

    id: _Id
    namespace: str
    pod: str
    node: str
    container: str
    after: int
    seconds: float
    cursor: _Cursor
    crashed: bool


class _Sample:
    """One sample under way."""

    def __init__(self, client: Client, parameters: ServiceLogsParameters) -> None:
        self._client = client
        self._parameters = parameters
        self._free = asyncio.Semaphore(CONCURRENT)
        self._silent: dict[str, Unobserved] = {}
        self._refused: Unobserved | None = None
        self.cursors: dict[_Id, _Cursor] = {}
        self.found: dict[_Id, tuple[LogTail, ...]] = {}
        self.missing: set[Unobserved] = set()

    async def read(self, job: _Job) -> None:
        """Read one container, unless it is known by now that there will be no answer."""
        async with self._free:
            known = self._refused or self._silent.get(job.node)
            if known is not None:
                self.missing.add(known)
                return
            try:
                await self._read(job)
            except ports.Forbidden as error:
                self._refused = unobserved(error, RULES[0], job.namespace, _WHAT)
                self.missing.add(self._refused)
            except (ports.Unreachable, TimeoutError) as error:
                self._silent[job.node] = unobserved(error, RULES[0], job.namespace, _WHAT)
                self.missing.add(self._silent[job.node])
            except ports.ApiError as error:
                self.missing.add(unobserved(error, RULES[0], job.namespace, _WHAT))

    async def _read(self, job: _Job) -> None:
        before = await self._get(job, previous=True) if job.crashed else None
        now = await self._get(job, previous=False)
        tails: list[LogTail] = []
        last = job.after
        if before is not None and before.lines:
            tails.append(await self._tail(job, before, previous=True))
            last = before.last
        if now is not None:
            if before is not None:
                # While a container waits to be started again both are the log of the same instance.
                known = frozenset(before.lines)
                now = Read(tuple(line for line in now.lines if line not in known), now.last, now.truncated)
            tails.append(await self._tail(job, now, previous=False))
            last = max(last, now.last)
            self.cursors[job.id] = _Cursor(last, job.cursor.restarts)
            self.found[job.id] = tuple(tails)

    async def _get(self, job: _Job, *, previous: bool) -> Read | None:
        """One log; None when the pod is gone, or never had such an instance."""
        parameters = self._parameters
        query = {
            "container": job.container,
            "timestamps": "true",
            "sinceTime": _whole_second(job.after),
            "limitBytes": str(parameters.limit_bytes),
            "tailLines": str(parameters.max_lines),
        }
        if previous:
            query["previous"] = "true"
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                content = await self._client.get_text(
                    f"/api/v1/namespaces/{job.namespace}/pods/{job.pod}/log", **query
                )
        except ports.NotFound:
            return None
        except ports.ApiError as error:
            if error.status != 400:
                raise
            # It is waiting to start, or its former instance is gone: nothing has been written.
            content = b""
        return split(
            content, after=job.after, limit_bytes=parameters.limit_bytes, max_lines=parameters.max_lines
        )

    @staticmethod
    async def _tail(job: _Job, read: Read, *, previous: bool) -> LogTail:
        lines, cut = await readable(read.lines)
        return LogTail(job.pod, job.container, lines, job.seconds, read.truncated or cut, previous)


class PodLogs:
    """Samples logs, and remembers for each KiroHealthCheck how far it has read.

    A KiroHealthCheck is told from others by what it asks for and by the time of its last sample, which
    each request carries.
    """

    source = Source.POD_LOGS
    rules = RULES

    def __init__(self, client: Client) -> None:
        self._client = client
        self._readings: dict[_Reader, list[_Reading]] = {}

    async def observe(self, request: ports.PollRequest) -> tuple[LogTail | Unobserved, ...] | Unobserved:
        """The new lines of every selected container since the last sample, or in the last interval."""
        if isinstance(request.snapshot.pods, Unobserved):
            return request.snapshot.pods
        parameters: ServiceLogsParameters = request.parameters
        readings = self._of(request, parameters)
        before = max(
            (one for one in readings if request.since is not None and one.taken <= request.since),
            key=lambda one: one.taken,
            default=None,
        )
        pods = sorted(filter(_has_logs, request.snapshot.pods), key=_unwell_first)
        jobs = [job for pod in pods[:PODS] for job in _jobs(pod, request, parameters, before)]
        sample = _Sample(self._client, parameters)
        in_time = await _run(sample, jobs, min(BUDGET, 0.8 * request.interval).total_seconds())
        remembered = {job.id: job.cursor for job in jobs} | sample.cursors
        readings.append(_Reading(request.now, remembered))
        del readings[:-_READINGS]
        tails = tuple(tail for job in jobs for tail in sample.found.get(job.id, ()))
        missing = sorted(sample.missing | (set() if in_time else {LATE}), key=lambda one: one.reason)
        if missing and not tails:
            return missing[0]
        return (*tails, *missing, *((TOO_MANY,) if len(pods) > PODS else ()))

    def _of(self, request: ports.PollRequest, parameters: ServiceLogsParameters) -> list[_Reading]:
        for reader, readings in list(self._readings.items()):
            if readings[-1].taken < request.now - 10 * reader[3]:
                del self._readings[reader]  # its KiroHealthCheck is gone, or asks for something else now
        reader = (
            request.namespace,
            msgspec.json.encode(request.selector),
            parameters.model_dump_json(),
            request.interval,
        )
        return self._readings.setdefault(reader, [])


async def _run(sample: _Sample, jobs: list[_Job], budget: float) -> bool:
    """Read all; whether that was done within the budget."""
    tasks = [asyncio.create_task(sample.read(job)) for job in jobs]
    if not tasks:
        return True
    try:
        done, pending = await asyncio.wait(tasks, timeout=budget)
    finally:
        for task in tasks:
            task.cancel()
    for task in done:
        task.result()
    await asyncio.gather(*pending, return_exceptions=True)
    return not pending


def _has_logs(pod: Pod) -> bool:
    if pod.status.phase == "Running":
        return True
    statuses = (*pod.status.container_statuses, *pod.status.init_container_statuses)
    return pod.status.phase != "Succeeded" and any(status.restart_count for status in statuses)


def _unwell_first(pod: Pod) -> tuple[bool, str]:
    return pod.settled, pod.metadata.name


def _jobs(
    pod: Pod, request: ports.PollRequest, parameters: ServiceLogsParameters, before: _Reading | None
) -> Iterator[_Job]:
    for status in (*pod.status.init_container_statuses, *pod.status.container_statuses):
        if parameters.containers and status.name not in parameters.containers:
            continue
        if not _has_run(status, init=status in pod.status.init_container_statuses):
            continue
        identity = (pod.metadata.uid, status.name)
        since = before.taken if before else request.since or request.now - request.interval
        cursor = before.cursors.get(identity) if before else None
        crashed = _crashed_lately(status, since) if cursor is None else status.restart_count > cursor.restarts
        after = nanoseconds(since) if cursor is None else cursor.last
        ended = status.last_state.terminated
        if cursor is None and crashed and ended is not None and ended.finished_at is not None:
            # It may have died a while ago: what it wrote in the interval before that counts.
            after = min(after, nanoseconds(ended.finished_at - request.interval))
        yield _Job(
            identity,
            request.namespace,
            pod.metadata.name,
            pod.spec.node_name,
            status.name,
            after,
            max(0.0, (request.now - since).total_seconds()),
            _Cursor(after, status.restart_count),
            crashed,
        )


def _has_run(status: ContainerStatus, *, init: bool) -> bool:
    state = status.state
    if init and state.terminated is not None and state.terminated.exit_code == 0:
        return False  # it has done its work, and no line will follow
    return bool(
        state.running or state.terminated or status.last_state.terminated or status.restart_count
    )


def _crashed_lately(status: ContainerStatus, since: datetime) -> bool:
    if not status.restart_count:
        return False
    waiting, ended = status.state.waiting, status.last_state.terminated
    if waiting is not None and waiting.reason == "CrashLoopBackOff":
        return True
    return ended is not None and ended.finished_at is not None and ended.finished_at >= since


def _whole_second(time: int) -> str:
    return datetime.fromtimestamp(time // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
