"""A rollout, a drain and the upgrade of a cluster are no failures, as far as pods and nodes tell."""

from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from kiro_operator.core.evidence.nodes import NODES, Node, Nodes
from kiro_operator.core.faults.motion import Motion, judged, moving
from kiro_operator.core.faults.parameters import PodFaultParameters
from kiro_operator.core.objects import (
    ConditionKind,
    ContainerState,
    ContainerStatus,
    DaemonSet,
    ObjectCondition,
    Pod,
    StatefulSet,
    Truth,
    Waiting,
    Workload,
    WorkloadStatus,
)
from kiro_operator.core.policy.rollouts import ROLLOUT_DEADLINE
from kiro_operator.core.snapshot import Sample, Snapshot
from tests.core.policy.make import BLIND, NOW, ago, pod, snapshot, workload

LIMITS = PodFaultParameters()
PENDING = WorkloadStatus(
    observed_generation=3, replicas=4, available_replicas=3, current_revision="a", update_revision="b",
    desired_number_scheduled=4, number_available=3, updated_number_scheduled=2,
)  # fmt: skip
DONE = replace(PENDING, current_revision="b", updated_number_scheduled=4)


def starting(kind: str, age: timedelta, revision: str = "") -> Pod:
    made = pod("db-0", "db", kind, ready=False, labels={"controller-revision-hash": revision})
    return replace(made, metadata=replace(made.metadata, creation_timestamp=NOW - age))


def reason(item: Pod, facts: Snapshot, now: datetime = NOW) -> str:
    fault, _ = judged(item, facts, LIMITS, now)
    return "" if fault is None else fault.kind.reason


def sts(status: WorkloadStatus, strategy: str = "") -> Workload:
    return workload("db", StatefulSet, status=status, strategy=strategy)


@pytest.mark.parametrize(
    ("made", "revision", "minutes", "expected"),
    [
        (sts(PENDING), "b", 5, "RolloutInProgress"),
        (sts(PENDING), "a", 5, "NotReady"),  # of the old revision
        (sts(PENDING, "OnDelete"), "b", 5, "NotReady"),  # nobody rolls it out
        (sts(DONE), "b", 5, "NotReady"),
        (sts(PENDING), "b", 10, "NotReady"),  # past the deadline
        (sts(PENDING), "b", 1, ""),  # within its grace anyway
        (workload("db", DaemonSet, status=PENDING), "", 5, "RolloutInProgress"),
        (workload("db", DaemonSet, status=DONE), "", 5, "NotReady"),
        (workload("db", DaemonSet, status=PENDING), "", 10, "NotReady"),
    ],
)
def test_a_slow_start_in_a_rollout(made: Workload, revision: str, minutes: float, expected: str) -> None:
    item = starting(made.kind, timedelta(minutes=minutes), revision)
    assert reason(item, snapshot([made], [item])) == expected


def test_it_is_looked_at_again_when_the_deadline_has_passed() -> None:
    made = sts(PENDING)
    item = starting("StatefulSet", timedelta(minutes=5), "b")
    facts = snapshot([made], [item])
    _, again = judged(item, facts, LIMITS, NOW)
    assert again == NOW - timedelta(minutes=5) + ROLLOUT_DEADLINE
    assert reason(item, facts, again - timedelta(seconds=1)) == "RolloutInProgress"
    assert reason(item, facts, again) == "NotReady"


def told(item: Pod, *conditions: ObjectCondition) -> Pod:
    return replace(item, status=replace(item.status, conditions=(*item.status.conditions, *conditions)))


@pytest.mark.parametrize(
    ("truth", "expected"), [(Truth.TRUE, "Draining"), (Truth.FALSE, "NotReady"), (Truth.UNKNOWN, "NotReady")]
)
def test_a_pod_that_is_to_go(truth: Truth, expected: str) -> None:
    target = ObjectCondition(ConditionKind.DISRUPTION_TARGET, truth, "EvictionByEvictionAPI")
    item = told(starting("StatefulSet", timedelta(hours=1)), target)
    assert reason(item, snapshot([workload("db", StatefulSet)], [item])) == expected


@pytest.mark.parametrize(
    ("message", "minutes", "expected"),
    [
        ("0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu.", 9, "Draining"),
        (
            "0/3 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/unschedulable: }",
            9,
            "Draining",
        ),
        ("0/3 nodes are available: 1 node(s) were unschedulable.", 10, "Unschedulable"),
        ("0/3 nodes are available: 3 Insufficient cpu.", 9, "Unschedulable"),
        ("", 9, "Unschedulable"),
    ],
)
def test_no_room_while_nodes_are_cordoned(message: str, minutes: float, expected: str) -> None:
    waiting = ObjectCondition(
        ConditionKind.POD_SCHEDULED, Truth.FALSE, "Unschedulable", message, ago(minutes=minutes)
    )
    item = told(pod("api-0", ready=False, phase="Pending"), waiting)
    assert reason(item, snapshot([workload()], [item])) == expected


@pytest.mark.parametrize(
    ("cordoned", "node", "expected"),
    [(True, "one", "Draining"), (False, "one", "NotReady"), (True, "two", "NotReady")],
)
def test_nodes_tell_where_they_may_be_seen(cordoned: bool, node: str, expected: str) -> None:  # noqa: FBT001
    item = starting("StatefulSet", timedelta(hours=1))
    item = replace(item, spec=replace(item.spec, node_name="one"))
    seen = Nodes((Node(node, 4.0, 8e9, ready=False, schedulable=False, cordoned=cordoned),))
    facts = snapshot([workload("db", StatefulSet)], [item])
    assert reason(item, replace(facts, samples={NODES.name: Sample(1, NOW, seen)})) == expected
    assert reason(item, facts) == "NotReady"


def deployment(reason: str, truth: Truth = Truth.TRUE) -> Workload:
    made = workload("db", status=PENDING)
    condition = ObjectCondition(ConditionKind.PROGRESSING, truth, reason)
    return replace(made, status=replace(made.status, conditions=(condition,)))


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (deployment("ReplicaSetUpdated"), "RolloutInProgress"),
        (deployment("NewReplicaSetAvailable"), ""),
        (deployment("ProgressDeadlineExceeded", Truth.FALSE), ""),
        (sts(PENDING), ""),  # its pods tell, and there is none
    ],
)
def test_a_rollout_that_makes_progress_moves_its_workload(made: Workload, expected: str) -> None:
    found = moving([made], snapshot([made], BLIND), NOW)
    assert found == ({"uid-db": Motion(expected, None)} if expected else {})


GOING = pod("db-0", "db", "StatefulSet", ready=False, deleted=ago(seconds=10))
LATE = pod("db-0", "db", "StatefulSet", ready=False, deleted=ago(minutes=6))
FRESH = starting("StatefulSet", timedelta(seconds=90))
WAITING = starting("StatefulSet", timedelta(minutes=9), "b")
DOWN = told(
    starting("StatefulSet", timedelta(hours=1)),
    ObjectCondition(ConditionKind.POD_SCHEDULED, Truth.TRUE, last_transition_time=ago(hours=1)),
)
CRASHED = replace(
    FRESH,
    status=replace(
        FRESH.status,
        container_statuses=(
            ContainerStatus("main", state=ContainerState(waiting=Waiting("CrashLoopBackOff"))),
        ),
    ),
)


@pytest.mark.parametrize(
    ("pods", "status", "expected", "until"),
    [
        ([GOING], DONE, "Draining", ago(seconds=10) + LIMITS.terminating_grace),
        ([GOING], PENDING, "RolloutInProgress", ago(seconds=10) + LIMITS.terminating_grace),
        ([FRESH], DONE, "Draining", ago(seconds=90) + LIMITS.start_grace),
        ([GOING, FRESH], DONE, "Draining", ago(seconds=90) + LIMITS.start_grace),
        ([WAITING], PENDING, "RolloutInProgress", ago(minutes=9) + ROLLOUT_DEADLINE),
        ([WAITING], DONE, "", None),
        ([DOWN], DONE, "", None),
        ([GOING, DOWN], DONE, "", None),
        ([CRASHED], DONE, "", None),
        ([CRASHED], PENDING, "", None),
        ([LATE], DONE, "", None),
        ([pod("db-0", "db", "StatefulSet")], DONE, "", None),
        ([], PENDING, "", None),
    ],
)
def test_a_workload_moves_while_all_of_its_pods_that_are_not_well_do(
    pods: list[Pod], status: WorkloadStatus, expected: str, until: datetime | None
) -> None:
    made = sts(status)
    named = [
        replace(item, metadata=replace(item.metadata, name=f"db-{number}", uid=f"uid-db-{number}"))
        for number, item in enumerate(pods)
    ]
    found = moving([made], snapshot([made], named), NOW)
    assert found == ({"uid-db": Motion(expected, until)} if expected else {})


@pytest.mark.parametrize(
    ("reason", "truth", "expected"),
    [
        ("NewReplicaSetAvailable", Truth.TRUE, "Draining"),
        ("ProgressDeadlineExceeded", Truth.FALSE, ""),
    ],
)
def test_past_the_deadline_of_a_rollout_new_pods_move_nothing(
    reason: str, truth: Truth, expected: str
) -> None:
    made = deployment(reason, truth)
    item = pod("db-1", "db", ready=False)
    item = replace(item, metadata=replace(item.metadata, creation_timestamp=ago(seconds=5)))
    found = moving([made], snapshot([made], [item]), NOW)
    assert [motion.reason for motion in found.values()] == ([expected] if expected else [])


def test_one_that_is_not_ready_for_a_moment_does_not_move_though_it_is_within_its_grace() -> None:
    ready = ObjectCondition(ConditionKind.READY, Truth.FALSE, last_transition_time=ago(seconds=5))
    item = starting("StatefulSet", timedelta(hours=1))
    item = replace(item, status=replace(item.status, conditions=(ready,)))
    facts = snapshot([sts(DONE)], [item])
    assert reason(item, facts) == ""
    assert moving([sts(DONE)], facts, NOW) == {}
