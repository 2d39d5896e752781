"""Logs as the real API server hands them through from the kubelet."""

from __future__ import annotations

import asyncio
import threading
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest

from devcluster import ControlPlane, faults
from devcluster.listen import Answer, Request, Server
from devcluster.wait import until
from kiro_operator import ports
from kiro_operator.adapters.kubernetes import pod_logs
from kiro_operator.adapters.kubernetes.client import Client
from kiro_operator.adapters.kubernetes.pod_logs import LATE, RULES, TOO_MANY, PodLogs
from kiro_operator.api.v1alpha1.evidence.logs import LogsEvidence
from kiro_operator.api.v1alpha1.healthcheck import KiroHealthCheckSpec
from kiro_operator.core.evidence.logs import LogTail
from kiro_operator.core.loglines import LINE_LIMIT
from kiro_operator.core.objects import (
    ContainerState,
    ContainerStatus,
    Metadata,
    Phase,
    Pod,
    PodSpec,
    PodStatus,
    Running,
)
from kiro_operator.core.snapshot import Unobserved
from kiro_operator.ports import PollRequest
from tests.devcluster.helpers import container, evict, make_pod, ready, wait_pod

from .conftest import ClientWith
from .helpers import facts, live_pods, poll
from .test_log_text import KEY


class Reader:
    """Takes one sample after another of a namespace, as the engine does for one KiroHealthCheck."""

    def __init__(
        self,
        plane: ControlPlane,
        namespace: str,
        client: Client,
        logs: LogsEvidence | None = None,
    ) -> None:
        self._plane, self._namespace = plane, namespace
        self._observer = PodLogs(client)
        self._spec = KiroHealthCheckSpec(logs=logs or LogsEvidence())
        self._since: datetime | None = None

    async def sample(self) -> tuple[LogTail | Unobserved, ...] | Unobserved:
        snapshot = facts(self._namespace, live_pods(self._plane, self._namespace))
        value = await self._observer.observe(poll(snapshot, spec=self._spec, since=self._since))
        self._since = datetime.now(UTC)
        return value

    async def tails(self) -> list[LogTail]:
        value = await self.sample()
        assert not isinstance(value, Unobserved), value
        return [tail for tail in value if isinstance(tail, LogTail)]

    async def lines(self) -> list[tuple[str, ...]]:
        return [tail.lines for tail in await self.tails()]


def show(plane: ControlPlane, namespace: str, lines: list[str], previous: list[str] | None = None) -> Path:
    """Give the pod a log, and return once kwok, which learns of it by a watch, shows it."""
    file = faults.logs(plane, namespace, "web", lines, previous=previous)

    def shown() -> bool:
        return plane.kubectl("logs", "web", "-c", "main", "-n", namespace, check=False).returncode == 0

    until(shown, "the log")
    return file


def requests(plane: ControlPlane, namespace: str, offset: int) -> list[dict[str, list[str]]]:
    """The queries for logs in the audit log, each by a ServiceAccount of the namespace."""
    return [
        parse_qs(urlsplit(event["requestURI"]).query)
        for event in plane.audit_events(offset, naming=namespace)
        if event.get("objectRef", {}).get("subresource") == "log"
        and event["user"]["username"].startswith(f"system:serviceaccount:{namespace}:")
    ]


async def test_every_line_once_and_one_request_a_container(
    control_plane: ControlPlane, namespace: str, client_with: ClientWith
) -> None:
    make_pod(control_plane, namespace, containers=("main", "side"))
    wait_pod(control_plane, namespace, ready, "a healthy pod")
    file = show(control_plane, namespace, ["one", "two"])
    reader = Reader(control_plane, namespace, client_with(RULES))
    offset = control_plane.audit_offset()

    main, side = await reader.tails()
    assert (main.pod, main.container, main.lines) == ("web", "main", ("one", "two"))
    assert (side.container, side.lines) == ("side", ("one", "two"))
    assert (main.seconds, main.truncated, main.previous) == (30.0, False, False)
    assert await reader.lines() == [(), ()]
    faults.append_log(file, ["three", "four"])
    assert await reader.lines() == [("three", "four"), ("three", "four")]
    faults.append_log(file, ["five"])
    tails = await reader.tails()
    assert [tail.lines for tail in tails] == [("five",), ("five",)]
    assert tails[0].seconds < 5

    asked = requests(control_plane, namespace, offset)
    assert Counter(query["container"][0] for query in asked) == {"main": 4, "side": 4}
    for query in asked:
        assert query["limitBytes"] == ["262144"]
        assert query["tailLines"] == ["2000"]
        assert "sinceTime" in query
        assert "previous" not in query


async def test_the_log_of_what_crashed_once(
    control_plane: ControlPlane, namespace: str, client_with: ClientWith
) -> None:
    make_pod(control_plane, namespace)
    wait_pod(control_plane, namespace, ready, "a healthy pod")
    reader = Reader(control_plane, namespace, client_with(RULES))
    show(control_plane, namespace, ["started"])
    assert await reader.lines() == [("started",)]

    show(control_plane, namespace, ["started again"], previous=["out of luck"])
    faults.inject(control_plane, namespace, "web", "crash-loop", restart_every="1h")
    wait_pod(control_plane, namespace, lambda pod: container(pod).get("restartCount") == 1, "a crash")
    offset = control_plane.audit_offset()
    before, now = await reader.tails()
    assert (before.lines, before.previous) == (("out of luck",), True)
    assert (now.lines, now.previous) == (("started again",), False)
    assert await reader.lines() == [()]
    assert await reader.lines() == [()]
    asked = requests(control_plane, namespace, offset)
    assert [query.get("previous") for query in asked] == [["true"], None, None, None]

    # Another that starts to look now learns what the pod died of.
    other = Reader(control_plane, namespace, client_with(RULES))
    assert [tail.previous for tail in await other.tails()] == [True, False]


async def test_the_same_instance_is_not_read_twice(
    control_plane: ControlPlane, namespace: str, client_with: ClientWith
) -> None:
    """While it waits to be started again, a container's log and its former log are the same."""
    make_pod(control_plane, namespace)
    wait_pod(control_plane, namespace, ready, "a healthy pod")
    file = show(control_plane, namespace, [], previous=[])
    faults.append_log(file, ["dying", "dying"])
    file.with_name("web.previous.log").write_bytes(file.read_bytes())
    faults.inject(control_plane, namespace, "web", "crash-loop", restart_every="1h")
    wait_pod(control_plane, namespace, lambda pod: container(pod).get("restartCount") == 1, "a crash")
    before, now = await Reader(control_plane, namespace, client_with(RULES)).tails()
    assert (before.lines, before.previous) == (("dying", "dying"), True)
    assert (now.lines, now.previous) == ((), False)


async def test_hostile_logs(control_plane: ControlPlane, namespace: str, client_with: ClientWith) -> None:
    make_pod(control_plane, namespace)
    wait_pod(control_plane, namespace, ready, "a healthy pod")
    file = show(control_plane, namespace, ["password=hunter2hunter2", *KEY, "token: abc"])
    reader = Reader(control_plane, namespace, client_with(RULES))
    (tail,) = await reader.tails()
    assert tail.lines == ("password=[redacted]", "[redacted]", "token: [redacted]")
    assert "hunter2" not in repr(vars(reader))

    with file.open("ab") as log:
        log.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%fZ} stdout F ".encode() + b"\xff\xfe\0bin\x80\n")
    faults.append_log(file, ["y" * 100_000])
    (tail,) = await reader.tails()
    assert tail.lines == ("\ufffd\ufffdbin\ufffd", "y" * LINE_LIMIT)
    assert tail.truncated

    faults.append_log(file, ["x" * 1_000_000])
    (tail,) = await reader.tails()
    assert tail.lines == ("x" * LINE_LIMIT,)
    assert tail.truncated


async def test_more_lines_than_may_be_read(
    control_plane: ControlPlane, namespace: str, client_with: ClientWith
) -> None:
    make_pod(control_plane, namespace)
    wait_pod(control_plane, namespace, ready, "a healthy pod")
    show(control_plane, namespace, [f"line {number}" for number in range(500)])
    reader = Reader(control_plane, namespace, client_with(RULES), LogsEvidence(max_lines=20))
    (tail,) = await reader.tails()
    assert tail.lines == tuple(f"line {number}" for number in range(480, 500))
    assert tail.truncated


async def test_without_the_permission(
    control_plane: ControlPlane, namespace: str, client_with: ClientWith
) -> None:
    names = [f"web-{number}" for number in range(9)]
    for name in names:
        make_pod(control_plane, namespace, name)
    for name in names:
        wait_pod(control_plane, namespace, ready, "a healthy pod", name=name)
    offset = control_plane.audit_offset()
    reader = Reader(control_plane, namespace, client_with(()))
    assert await reader.sample() == Unobserved("Forbidden", RULES[0].advice(namespace))
    # Those under way are refused too; the others are not even asked for.
    assert len(requests(control_plane, namespace, offset)) <= pod_logs.CONCURRENT


async def test_what_has_no_log(control_plane: ControlPlane, namespace: str, client_with: ClientWith) -> None:
    for name in ("web", "gone"):
        make_pod(control_plane, namespace, name)
        wait_pod(control_plane, namespace, ready, "a healthy pod", name=name)
    snapshot = facts(namespace, live_pods(control_plane, namespace))
    evict(control_plane, namespace, "gone")
    # web has written nothing yet, for which the API server's answer is 400.
    sample = await PodLogs(client_with(RULES)).observe(poll(snapshot))
    assert not isinstance(sample, Unobserved)
    assert [(tail.pod, tail.lines) for tail in sample if isinstance(tail, LogTail)] == [("web", ())]
    assert len(sample) == 1
    assert await PodLogs(client_with(())).observe(poll(facts(namespace))) == ()


def running(name: str, node: str = "a") -> Pod:
    main = ContainerStatus("main", ready=True, state=ContainerState(running=Running()))
    return Pod(
        Metadata(name, uid=name),
        PodSpec(node),
        PodStatus(Phase.RUNNING, container_statuses=(main,)),
    )


def at(pods: list[Pod], interval: float = 30.0) -> PollRequest:
    return poll(facts("kiro", pods), interval=timedelta(seconds=interval))


async def test_a_kubelet_that_is_silent_costs_only_its_own_logs(
    client_of: Callable[[str], Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pod_logs, "REQUEST_TIMEOUT", 0.2)
    hang = threading.Event()

    def answer(request: Request) -> Answer:
        if "/dead-" in request.path:
            hang.wait(10)
        return Answer(200, b"2026-01-01T00:00:00Z old\n2099-01-01T00:00:00Z new\n")

    pods = [running(f"dead-{number:02}", "b") for number in range(20)] + [running("live")]
    with Server(answer) as server:
        sample = await PodLogs(client_of(server.url)).observe(at(pods))
        hang.set()
    assert not isinstance(sample, Unobserved)
    tail, missing = sample
    assert isinstance(tail, LogTail)
    assert (tail.pod, tail.lines) == ("live", ("new",))
    assert isinstance(missing, Unobserved)
    assert missing.reason == "Unreachable"
    assert len([one for one in server.requests if "/dead-" in one.path]) == pod_logs.CONCURRENT


async def test_lines_missed_by_a_failed_sample_are_read_by_the_next(
    client_of: Callable[[str], Client],
) -> None:
    answers = [
        Answer(200, b"2099-01-01T00:00:00.1Z one\n"),
        Answer(500, b"dial tcp: no route to host"),
        Answer(200, b"2099-01-01T00:00:00.1Z one\n2099-01-01T00:00:00.2Z two\n"),
    ]
    left = iter(answers)
    with Server(lambda _: next(left)) as server:
        observer, request = PodLogs(client_of(server.url)), at([running("web")])
        later = [
            msgspec.structs.replace(
                request,
                now=request.now + number * request.interval,
                since=request.now + (number - 0.9) * request.interval,
            )
            for number in (1, 2)
        ]
        first = await observer.observe(request)
        failed = await observer.observe(later[0])
        again = await observer.observe(later[1])
    assert not isinstance(first, Unobserved)
    assert isinstance(failed, Unobserved)
    assert failed.reason == "Unreachable"
    assert isinstance(again, tuple)
    (tail,) = again
    assert isinstance(tail, LogTail)
    assert (tail.lines, tail.seconds) == (("two",), 60.0)


async def test_two_readers_do_not_take_lines_from_each_other(client_of: Callable[[str], Client]) -> None:
    """Two KiroHealthChecks that ask the very same are told apart by when they were last answered."""
    content, pods = b"", [running("web")]
    with Server(lambda _: Answer(200, content)) as server:
        observer, start = PodLogs(client_of(server.url)), datetime.now(UTC)
        for turn in range(3):
            content += f"2099-01-01T00:00:0{turn}Z line {turn}\n".encode()
            for offset in (0.0, 1.0):
                now = start + timedelta(seconds=10 * turn + offset)
                since = now - timedelta(seconds=9.5) if turn else None
                value = await observer.observe(poll(facts("kiro", pods), now=now, since=since))
                assert isinstance(value, tuple)
                assert [one.lines for one in value if isinstance(one, LogTail)] == [(f"line {turn}",)]


async def test_bounds(client_of: Callable[[str], Client]) -> None:
    busy, most = Counter[str](), 0
    lock = threading.Lock()

    def answer(_: Request) -> Answer:
        nonlocal most
        with lock:
            busy["now"] += 1
            most = max(most, busy["now"])
        with lock:
            busy["now"] -= 1
        return Answer(200, b"")

    pods = [running(f"web-{number:03}") for number in range(60)]
    with Server(answer) as server:
        sample = await PodLogs(client_of(server.url)).observe(at(pods))
        assert len(server.requests) == pod_logs.PODS
    assert most <= pod_logs.CONCURRENT
    assert isinstance(sample, tuple)
    assert sample[-1] == TOO_MANY
    assert len(sample) == pod_logs.PODS + 1


async def test_a_budget_that_runs_out(client_of: Callable[[str], Client]) -> None:
    hang = threading.Event()

    def answer(request: Request) -> Answer:
        if "/slow/" in request.path:
            hang.wait(10)
        return Answer(200, b"")

    with Server(answer) as server:
        observer = PodLogs(client_of(server.url))
        sample = await observer.observe(at([running("slow", "b"), running("web")], interval=0.5))
        assert isinstance(sample, tuple)
        assert sample[-1] == LATE
        assert len(sample) == 2
        assert await observer.observe(at([running("slow")], interval=0.2)) == LATE
        # Whoever gives it up as a whole finds nothing of it running on.
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await observer.observe(at([running("slow")]))
        hang.set()
    (left,) = asyncio.all_tasks()
    assert left is asyncio.current_task()


@pytest.mark.parametrize(
    ("answer", "reason"), [(Answer(429, b""), "Throttled"), (Answer(405, b"{}"), "Refused")]
)
async def test_other_answers(answer: Answer, reason: str, client_of: Callable[[str], Client]) -> None:
    with Server(lambda _: answer) as server:
        sample = await PodLogs(client_of(server.url)).observe(at([running("web")]))
    assert isinstance(sample, Unobserved)
    assert sample.reason == reason
    assert str(server.port) not in sample.message


async def test_pods_that_cannot_be_seen() -> None:
    unseen = Unobserved("StaleWatch", "silent")
    request = poll(msgspec.structs.replace(facts("kiro"), pods=unseen))
    assert await PodLogs(None).observe(request) is unseen  # type: ignore[arg-type]


@pytest.mark.parametrize(("status", "error"), [(422, ports.Invalid), (503, ports.Unreachable)])
async def test_what_a_server_says_is_kept_without_credentials(
    client_of: Callable[[str], Client], status: int, error: type[Exception]
) -> None:
    told = {"reason": "Invalid", "message": "webhook says token=hunter2hunter2 of User ada@example.com"}
    with Server(lambda _: Answer(status, msgspec.json.encode(told))) as server:
        with pytest.raises(error) as refusal:
            await client_of(server.url).get("/api/v1/namespaces/kiro")
        assert "webhook says token=[redacted] of User ada@example.com" in str(refusal.value)
