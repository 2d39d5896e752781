"""Which containers are read, and when the log of a former instance is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from kiro_operator.adapters.kubernetes.log_plan import Cursor, Job, Reading, choose, jobs
from kiro_operator.adapters.kubernetes.log_text import nanoseconds
from kiro_operator.core.checks.responsiveness.service_logs import ServiceLogsParameters
from kiro_operator.core.objects import (
    ConditionKind,
    ContainerState,
    ContainerStatus,
    Metadata,
    ObjectCondition,
    Phase,
    Pod,
    PodStatus,
    Running,
    Terminated,
    Truth,
    Waiting,
)

from .helpers import INTERVAL, facts, poll

NOW = datetime(2026, 1, 1, 12, 0, 0, tzinfo=UTC)
UP = ContainerState(running=Running())
BACK_OFF = ContainerState(waiting=Waiting("CrashLoopBackOff"))
IMAGE_PULL = ContainerState(waiting=Waiting("ImagePullBackOff"))
NOTHING = ContainerState()


def died(ago: timedelta, code: int = 1) -> ContainerState:
    return ContainerState(terminated=Terminated(code, finished_at=NOW - ago))


def status(
    state: ContainerState = UP, last: ContainerState = NOTHING, restarts: int = 0, name: str = "main"
) -> ContainerStatus:
    return ContainerStatus(name, state.running is not None, restarts, state, last)


def pod(
    *statuses: ContainerStatus,
    name: str = "web",
    phase: str = "Running",
    init: tuple[ContainerStatus, ...] = (),
) -> Pod:
    ready = ObjectCondition(ConditionKind.READY, Truth.TRUE)
    return Pod(
        Metadata(name, uid=f"uid-{name}"),
        status=PodStatus(
            Phase(phase), conditions=(ready,), container_statuses=statuses, init_container_statuses=init
        ),
    )


def plan(
    *pods: Pod, before: Reading | None = None, since: datetime | None = None, wanted: tuple[str, ...] = ()
) -> list[Job]:
    request = poll(facts("kiro", pods), ServiceLogsParameters(), now=NOW, since=since)
    return list(jobs(choose(pods), wanted, before, request))


def read_at(when: datetime, restarts: int) -> Reading:
    return Reading(when, {("uid-web", "main"): Cursor(nanoseconds(when) + 5, restarts, when)}, {})


def test_the_first_sample_asks_for_one_interval() -> None:
    (job,) = plan(pod(status()))
    assert job.cursor.last == nanoseconds(NOW - INTERVAL)
    assert job.seconds == INTERVAL.total_seconds()
    assert not job.crashed


def test_after_a_restart_of_the_operator_it_goes_on_at_the_last_sample() -> None:
    (job,) = plan(pod(status()), since=NOW - timedelta(seconds=7))
    assert job.cursor.last == nanoseconds(NOW - timedelta(seconds=7))
    assert job.seconds == 7


def test_the_next_one_goes_on_after_the_last_line() -> None:
    before = read_at(NOW - timedelta(seconds=40), 0)
    (job,) = plan(pod(status()), before=before)
    assert job.cursor == before.cursors["uid-web", "main"]
    assert job.seconds == 40


def test_a_new_container_is_read_from_the_last_sample_on() -> None:
    before = read_at(NOW - timedelta(seconds=40), 0)
    (job,) = plan(pod(status(name="new")), before=before)
    assert job.cursor.last == nanoseconds(NOW - timedelta(seconds=40))


def test_a_risen_restart_count_asks_for_the_former_log_once() -> None:
    crashed = pod(status(last=died(timedelta(seconds=1)), restarts=3))
    (job,) = plan(crashed, before=read_at(NOW - INTERVAL, 2))
    assert job.crashed
    (again,) = plan(crashed, before=read_at(NOW - INTERVAL, 3))
    assert not again.crashed
    # Back-off at a count that is known is the same crash.
    (waiting,) = plan(pod(status(BACK_OFF, died(INTERVAL), 3)), before=read_at(NOW - INTERVAL, 3))
    assert not waiting.crashed


def test_at_first_sight_only_a_crash_that_matters_now() -> None:
    (long_ago,) = plan(pod(status(last=died(timedelta(days=3)), restarts=5)))
    assert not long_ago.crashed
    (lately,) = plan(pod(status(last=died(timedelta(seconds=3)), restarts=5)))
    assert lately.crashed
    (backing_off,) = plan(pod(status(BACK_OFF, died(timedelta(minutes=4)), 5)))
    assert backing_off.crashed
    assert backing_off.cursor.last == nanoseconds(NOW - timedelta(minutes=4) - INTERVAL)


def test_what_has_written_nothing_is_not_asked() -> None:
    assert plan(pod(status(IMAGE_PULL))) == []
    assert plan(pod(status(), phase="Pending")) == []
    assert plan(pod(status(died(INTERVAL, 0)), phase="Succeeded")) == []
    assert plan(pod(status(NOTHING))) == []


def test_init_containers_until_they_have_done_their_work() -> None:
    done = status(died(INTERVAL, 0), name="done")
    sidecar = status(name="sidecar")
    looping = status(BACK_OFF, died(INTERVAL), 2, name="looping")
    found = plan(pod(status(), init=(done, sidecar, looping)))
    assert [job.container for job in found] == ["sidecar", "looping", "main"]
    (pending,) = plan(pod(status(NOTHING), phase="Pending", init=(looping,)))
    assert pending.crashed


def test_named_containers() -> None:
    found = plan(pod(status(), status(name="side")), wanted=("side",))
    assert [job.container for job in found] == ["side"]


def test_pods_that_are_not_well_come_first() -> None:
    pods = [pod(status(), name="a"), pod(status(restarts=1), name="z"), pod(status(), name="b")]
    assert [one.metadata.name for one in choose(pods)] == ["z", "a", "b"]
    assert choose(reversed(pods)) == choose(pods)
