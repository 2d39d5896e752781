"""A rollout that nothing bounds but the operator's own deadline, as the real checks see it."""

from datetime import datetime, timedelta

from msgspec.structs import replace

from kiro_operator.core.checks.responsiveness import pods_ready, workloads_available
from kiro_operator.core.decide import Plan, Policy, decide
from kiro_operator.core.objects import (
    ConditionKind,
    Container,
    ContainerState,
    ContainerStatus,
    DaemonSet,
    Deployment,
    ObjectCondition,
    Pod,
    Running,
    Truth,
    Workload,
    WorkloadStatus,
)
from kiro_operator.core.snapshot import Snapshot
from kiro_operator.core.verdict import Status
from tests.core.policy.make import NOW, inputs, pod, policy, ref, snapshot, workload

ONE_OF_FOUR = WorkloadStatus(
    observed_generation=3, desired_number_scheduled=4, number_available=3, updated_number_scheduled=1
)
THREE_OF_FOUR = WorkloadStatus(observed_generation=3, replicas=4, available_replicas=1, updated_replicas=3)
"""Without the condition Progressing: so a Deployment is with progressDeadlineSeconds: 2147483647."""


def new(name: str, kind: str) -> Pod:
    """A pod of the newer template, running since NOW and never Ready."""
    made = pod(name, kind=kind, ready=False)
    since = [
        ObjectCondition(what, Truth.TRUE, last_transition_time=NOW)
        for what in (ConditionKind.POD_SCHEDULED, ConditionKind.INITIALIZED)
    ]
    since += [
        ObjectCondition(what, Truth.FALSE, "ContainersNotReady", last_transition_time=NOW)
        for what in (ConditionKind.CONTAINERS_READY, ConditionKind.READY)
    ]
    runs = ContainerStatus("app", state=ContainerState(running=Running(NOW)))
    return replace(
        made,
        metadata=replace(made.metadata, creation_timestamp=NOW),
        spec=replace(made.spec, node_name="n", containers=(Container("app"),)),
        status=replace(made.status, conditions=tuple(since), container_statuses=(runs,)),
    )


def rolled_out(made: Workload, updated: int) -> Snapshot:
    pods = [pod(f"api-{number}", kind=made.kind) for number in range(updated, 4)]
    return snapshot([made], [*(new(f"api-{number}", made.kind) for number in range(updated)), *pods])


def planned(facts: Snapshot, now: datetime) -> Plan:
    verdicts = {
        "pods-ready": pods_ready.judge(facts, pods_ready.PodsReadyParameters(), now),
        "workloads-available": workloads_available.judge(
            facts, workloads_available.WorkloadsAvailableParameters(), now
        ),
    }
    seen = {check: (verdict, verdict.status is Status.FAIL) for check, verdict in verdicts.items()}
    wide = (Policy("safe", policy(maxUnhealthy="100%")),)
    return decide(inputs(seen, facts, policies=wide, now=now))


def test_a_person_is_called_for_the_rollout_of_a_daemon_set_that_stands_still() -> None:
    facts = rolled_out(workload(kind=DaemonSet, status=ONE_OF_FOUR, written=NOW), 1)
    early = planned(facts, NOW + timedelta(minutes=5))
    assert (early.decisions, early.escalations) == ((), ())
    for wait in (timedelta(minutes=11), timedelta(days=3)):
        plan = planned(facts, NOW + wait)
        assert [(each.decision, each.reason) for each in plan.decisions] == [("Denied", "RolloutStuck")]
        (called,) = plan.escalations
        assert (called.reason, called.target) == ("RolloutStuck", ref(kind="DaemonSet"))


def test_and_for_that_of_a_deployment_that_has_no_deadline() -> None:
    facts = rolled_out(workload(kind=Deployment, status=THREE_OF_FOUR, written=NOW), 3)
    early = planned(facts, NOW + timedelta(minutes=5))
    assert [each.reason for each in early.decisions] == ["RolloutInProgress"]
    # Nothing need change for the answer to be another one then.
    assert (early.escalations, early.next) == ((), NOW + timedelta(minutes=10))
    plan = planned(facts, NOW + timedelta(hours=1))
    assert [(each.reason, each.target) for each in plan.escalations] == [("RolloutStuck", ref())]
